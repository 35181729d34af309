"""Every way to get a registry file wrong, each with the exact message and its position."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.errors import RecipeError
from zoo.plugins import load_catalog
from zoo.registry import Registry

CATALOG = load_catalog(quiet=True)
RECIPE = "version: 1\nrecipes:\n  r:\n    data: digits\n    architecture: conv-net\n    optimizer: momentum\n"

# What follows a complete recipe, from line 7 on, and the messages.
BLOCKS: list[tuple[str, list[str]]] = [
    ("    trainin: {}\n", ["r.yaml:7:5: unknown block 'trainin'; did you mean 'training'?"]),
    (
        "    zzz: 1\n",
        [
            "r.yaml:7:5: unknown block 'zzz'; blocks are data, architecture, optimizer, schedule, loss, weights, freeze, distill, regularizers, augmentation, training, acquisition, active, search, target"
        ],
    ),
    ("    training: 3\n", ["r.yaml:7:15: training must be a mapping, got 3 instead"]),
    ("    training: [epochs]\n", ["r.yaml:7:15: training must be a mapping, got a list of 1 instead"]),
    ("    training: {epoch: 3}\n", ["r.yaml:7:16: unknown key 'epoch' of training; did you mean 'epochs'?"]),
    ("    training: {epochs: 0}\n", ["r.yaml:7:24: training.epochs must be an integer ≥ 1 or null, got 0 instead"]),
    ("    training: {epochs: -3}\n", ["r.yaml:7:24: training.epochs must be an integer ≥ 1 or null, got -3 instead"]),
    ("    training: {epochs: 1.5}\n", ["r.yaml:7:24: training.epochs must be an integer ≥ 1 or null, got 1.5 instead"]),
    ("    training: {epochs: '3'}\n", ["r.yaml:7:24: training.epochs must be an integer ≥ 1 or null, got '3' instead"]),
    (
        "    training: {epochs: true}\n",
        ["r.yaml:7:24: training.epochs must be an integer ≥ 1 or null, got true instead"],
    ),
    (
        "    training: {epochs: {a: 1}}\n",
        ["r.yaml:7:24: training.epochs must be an integer ≥ 1 or null, got a mapping instead"],
    ),
    (
        "    training: {seed: 4294967296}\n",
        ["r.yaml:7:22: training.seed must be an integer ≥ 0, < 4.29497e+09, got 4294967296 instead"],
    ),
    (
        "    training: {deterministic: yes}\n",
        ["r.yaml:7:31: training.deterministic must be true or false, got 'yes' instead"],
    ),
    (
        "    training: {deterministic: 1}\n",
        ["r.yaml:7:31: training.deterministic must be true or false, got 1 instead"],
    ),
    (
        "    training: {deterministic: null}\n",
        ["r.yaml:7:31: training.deterministic must be true or false, got null instead"],
    ),
    (
        "    training: {precision: fp16}\n",
        ["r.yaml:7:27: training.precision must be auto or bf16 or fp32, got 'fp16' instead; did you mean 'bf16'?"],
    ),
    ("    training: {clip_norm: 0}\n", ["r.yaml:7:27: training.clip_norm must be a number > 0 or null, got 0 instead"]),
    (
        "    training: {early_stopping: 5}\n",
        ["r.yaml:7:32: training.early_stopping must be a mapping or null, got 5 instead"],
    ),
    (
        "    training: {early_stopping: {patience: 0, wait: 1}}\n",
        [
            "r.yaml:7:43: training.early_stopping.patience must be an integer ≥ 1, got 0 instead",
            "r.yaml:7:46: unknown key 'wait' of training.early_stopping; min_delta, monitor, patience",
        ],
    ),
    (
        "    training: {early_stopping: {monitor: validation/accurcy}}\n",
        [
            "r.yaml:7:42: training.early_stopping.monitor must be a metric, got 'validation/accurcy' instead; did you mean 'validation/accuracy'?"
        ],
    ),
    (
        "    training: {best: test/accuracy}\n",
        ["r.yaml:7:22: training.best must be a metric, got 'test/accuracy' instead; did you mean 'train/accuracy'?"],
    ),
    (
        "    training: {epochs: 2, steps: 9}\n",
        ["r.yaml:7:34: training has both epochs and steps; keep one: null takes the other back"],
    ),
    (
        "    schedule: cosin\n",
        [
            "r.yaml:7:15: schedule.name must be constant or cosine or one-cycle or plateau or step, got 'cosin' instead; did you mean 'cosine'?"
        ],
    ),
    (
        "    schedule: {warmup: 0.1}\n",
        ["r.yaml:7:15: schedule needs a name: constant, step, cosine, one-cycle, plateau"],
    ),
    (
        "    schedule: {name: cosine, gamma: 0.1}\n",
        ["r.yaml:7:30: unknown key 'gamma' of schedule; final, name, warmup"],
    ),
    (
        "    schedule: {name: one-cycle, warmup: 1.1}\n",
        ["r.yaml:7:41: schedule.warmup must be a number ≥ 0, ≤ 1, got 1.1 instead"],
    ),
    (
        "    schedule: {name: step, milestones: [0.5, late]}\n",
        ["r.yaml:7:46: schedule.milestones[1] must be a number ≥ 0, ≤ 1, got 'late' instead"],
    ),
    (
        "    schedule: {name: step, milestones: 0.5}\n",
        ["r.yaml:7:40: schedule.milestones must be a list of number ≥ 0, ≤ 1, got 0.5 instead"],
    ),
    (
        "    schedule: {name: plateau, monitor: loss}\n",
        ["r.yaml:7:40: schedule.monitor must be a metric, got 'loss' instead; did you mean 'train/loss'?"],
    ),
    ("    schedule: [cosine]\n", ["r.yaml:7:15: schedule needs a name: constant, step, cosine, one-cycle, plateau"]),
    ("    loss: mse\n", ["r.yaml:7:11: loss must be bce or cross-entropy, got 'mse' instead"]),
    ("    loss: [bce]\n", ["r.yaml:7:11: loss must be bce or cross-entropy, got a list of 1 instead"]),
    (
        "    regularizers: dropout\n",
        ["r.yaml:7:19: regularizers must be a list, like [{name: weight-decay, strength: 0.0005}]"],
    ),
    ("    regularizers: [dropuot]\n", ["r.yaml:7:20: unknown regularizer 'dropuot'; did you mean 'dropout'?"]),
    (
        "    regularizers: [{rate: 0.3}]\n",
        [
            "r.yaml:7:20: regularizers[0] needs a `name`: balanced-sampling, class-weights, cutmix, drop-path, dropout, ema, focal, gradient-noise, …"
        ],
    ),
    (
        "    regularizers: [{name: dropout, rate: 1}]\n",
        ["r.yaml:7:42: regularizers.dropout.rate must be a number ≥ 0, < 1, got 1 instead"],
    ),
    (
        "    regularizers: [{name: dropout, where: tail}]\n",
        ["r.yaml:7:43: regularizers.dropout.where must be all or head or recurrent, got 'tail' instead"],
    ),
    (
        "    regularizers: [dropout, {name: dropout}]\n",
        ["r.yaml:7:29: regularizer 'dropout' stands here twice; keep one"],
    ),
    (
        "    regularizers: [mixup, cutmix]\n",
        ["r.yaml:7:27: regularizers 'mixup' and 'cutmix' both rewrite the targets; keep one"],
    ),
    (
        "    regularizers: [cutmix, mixup-cutmix]\n",
        ["r.yaml:7:28: regularizers 'cutmix' and 'mixup-cutmix' both rewrite the targets; keep one"],
    ),
    (
        "    regularizers: [mixup-cutmix, mixup]\n",
        ["r.yaml:7:34: regularizers 'mixup-cutmix' and 'mixup' both rewrite the targets; keep one"],
    ),
    (
        "    regularizers: [label-smoothing, focal]\n",
        ["r.yaml:7:37: regularizers 'label-smoothing' and 'focal' both have a loss of their own; keep one"],
    ),
    (
        "    regularizers: [focal, class-weights]\n",
        ["r.yaml:7:27: regularizers 'focal' and 'class-weights' both have a loss of their own; keep one"],
    ),
    (
        "    regularizers: [class-weights, logit-adjustment]\n",
        ["r.yaml:7:35: regularizers 'class-weights' and 'logit-adjustment' both have a loss of their own; keep one"],
    ),
    (
        "    regularizers: [logit-adjustment, label-smoothing]\n",
        ["r.yaml:7:38: regularizers 'logit-adjustment' and 'label-smoothing' both have a loss of their own; keep one"],
    ),
    (
        "    regularizers: [mixup, class-weights]\n",
        [
            "r.yaml:7:27: regularizers 'mixup' and 'class-weights' do not fit: 'class-weights' needs labels, which 'mixup' rewrites; keep one"
        ],
    ),
    (
        "    regularizers: [cutmix, focal]\n",
        [
            "r.yaml:7:28: regularizers 'cutmix' and 'focal' do not fit: 'focal' needs labels, which 'cutmix' rewrites; keep one"
        ],
    ),
    (
        "    regularizers: [focal, mixup-cutmix]\n",
        [
            "r.yaml:7:27: regularizers 'focal' and 'mixup-cutmix' do not fit: 'focal' needs labels, which 'mixup-cutmix' rewrites; keep one"
        ],
    ),
    (
        "    regularizers: [ema, swa]\n",
        ["r.yaml:7:25: regularizers 'ema' and 'swa' exclude each other; keep one"],
    ),
    (
        "    regularizers: [mixup, {name: focal}, cutmix]\n",
        [
            "r.yaml:7:27: regularizers 'mixup' and 'focal' do not fit: 'focal' needs labels, which 'mixup' rewrites; keep one",
            "r.yaml:7:42: regularizers 'focal' and 'cutmix' do not fit: 'focal' needs labels, which 'cutmix' rewrites; keep one",
            "r.yaml:7:42: regularizers 'mixup' and 'cutmix' both rewrite the targets; keep one",
        ],
    ),
    (
        "    regularizers: [{name: random-erasing, smallest: 0.5}]\n",
        ["r.yaml:7:20: smallest must be at most largest, got 0.5 and 0.33"],
    ),
    (
        "    regularizers: [{name: class-weights, weights: even}]\n",
        [
            "r.yaml:7:51: regularizers.class-weights.weights must be balanced or a list of number ≥ 0, got 'even' instead"
        ],
    ),
    (
        "    regularizers: [{name: class-weights, weights: [1, -2]}]\n",
        ["r.yaml:7:55: regularizers.class-weights.weights[1] must be a number ≥ 0, got -2 instead"],
    ),
    (
        "    regularizers: [{name: layer-decay, strength: 1}]\n",
        ["r.yaml:7:50: regularizers.layer-decay.strength must be a number ≥ 0, < 1, got 1 instead"],
    ),
    (
        "    regularizers: [{name: mixup-cutmix, probability: 1.5}]\n",
        ["r.yaml:7:54: regularizers.mixup-cutmix.probability must be a number ≥ 0, ≤ 1, got 1.5 instead"],
    ),
    (
        "    regularizers: [[dropout]]\n",
        ["r.yaml:7:20: regularizers[0] must be a name or a mapping with `name`, got a list of 1 instead"],
    ),
    (
        "    augmentation: {rotation: 200}\n",
        ["r.yaml:7:30: augmentation.rotation must be a number ≥ 0, ≤ 180, got 200 instead"],
    ),
    (
        "    augmentation: {flip: true}\n",
        [
            "r.yaml:7:20: unknown key 'flip' of augmentation; brightness, contrast, erasing, horizontal_flip, padding_crop, policy, random_resized_crop, rotation, saturation, shear, shift, vertical_flip, … (13 in all)"
        ],
    ),
    ("    augmentation: {zoom: .inf}\n", ["r.yaml:7:26: a number must be finite, got .inf instead"]),
    ("    augmentation: {zoom: 1e999}\n", ["r.yaml:7:26: a number must be finite, got 1e999 instead"]),
    (
        "    training: {steps: 99999999999999999999}\n",
        ["r.yaml:7:23: an integer must fit in 64 bits, got 99999999999999999999 instead"],
    ),
    ("    acquisition: entropie\n", ["r.yaml:7:18: unknown acquisition 'entropie'; did you mean 'entropy'?"]),
    (
        "    acquisition: acme/bald\n",
        ["r.yaml:7:18: unknown acquisition 'acme/bald'; did you mean 'batch-bald' or 'bald'?"],
    ),
    (
        "    search: {optimizer.lrr: {low: 0.1, high: 1}}\n",
        ["r.yaml:7:29: unknown setting 'optimizer.lrr'; did you mean 'optimizer.lr'?"],
    ),
    (
        "    search: {optimizer.lr: {low: 1, high: 0.1}}\n",
        ["r.yaml:7:28: search.optimizer.lr needs low < high, or choices"],
    ),
    (
        "    search: {optimizer.lr: {from: 1}}\n",
        [
            "r.yaml:7:28: search.optimizer.lr needs low < high, or choices",
            "r.yaml:7:29: unknown key 'from' of search.optimizer.lr; choices, high, log, low, step",
        ],
    ),
    (
        "    search: {optimizer.lr: {low: 0, high: 1, log: true}}\n",
        ["r.yaml:7:34: search.optimizer.lr.low must be > 0 with log, got 0 instead"],
    ),
    (
        "    search: {optimizer.lr: {low: 0.1, high: 1, log: true, step: 0.1}}\n",
        ["r.yaml:7:65: search.optimizer.lr has log and step; keep one"],
    ),
    (
        "    search: {optimizer.lr: {low: -1, high: 1}}\n",
        ["r.yaml:7:34: search.optimizer.lr.low must be a number > 0, got -1 instead"],
    ),
    (
        "    search: {training.batch_size: {low: 0, high: 8.5}}\n",
        [
            "r.yaml:7:41: search.training.batch_size.low must be an integer ≥ 1, got 0 instead",
            "r.yaml:7:50: search.training.batch_size.high must be an integer, got 8.5 instead",
        ],
    ),
    (
        "    search: {training.batch_size: {choices: [8, 0, 8], low: 3}}\n",
        [
            "r.yaml:7:49: search.training.batch_size.choices[1] must be an integer ≥ 1, got 0 instead",
            "r.yaml:7:52: search.training.batch_size.choices has 8 twice",
            "r.yaml:7:61: search.training.batch_size has choices and low; keep one",
        ],
    ),
    (
        "    search: {loss: {low: 0, high: 1}}\n",
        ["r.yaml:7:20: search.loss needs choices: loss is bce or cross-entropy"],
    ),
    (
        "    search: {training.seed: {choices: [1, 2]}, data.split_seed: {low: 0, high: 9}}\n",
        [
            "r.yaml:7:29: search cannot vary 'training.seed', by which trials are judged",
            "r.yaml:7:65: search cannot vary 'data.split_seed', by which trials are judged",
        ],
    ),
    (
        "    search: {architecture.name: {choices: [conv-net, lenet5]}}\n",
        [
            "r.yaml:7:33: search cannot vary 'architecture.name', which brings settings of its own; make a recipe of each"
        ],
    ),
    (
        "    target: {metric: accuracy}\n",
        ["r.yaml:7:22: target.metric must be a metric, got 'accuracy' instead; did you mean 'test/accuracy'?"],
    ),
    ("    target: {tolerance: -1}\n", ["r.yaml:7:25: target.tolerance must be a number ≥ 0, got -1 instead"]),
    (
        "    extends: conv-nett-momentum\n",
        ["r.yaml:7:14: unknown recipe 'conv-nett-momentum'; did you mean 'conv-net-momentum'?"],
    ),
    ("    extends: [conv-net-momentum]\n", ["r.yaml:7:14: extends must be the name of one recipe"]),
    ("    extends: r\n", ["r.yaml:7:14: recipe 'r' extends itself, and no other file has one of this name"]),
    ("    data: npz\n", ["r.yaml:7:5: the key 'data' stands here twice; the first is at r.yaml:4:5"]),
    (
        "    loss: mse\n    training: {epochs: 0}\n    augmentation: {turn: 3}\n",
        [
            "r.yaml:7:11: loss must be bce or cross-entropy, got 'mse' instead",
            "r.yaml:8:24: training.epochs must be an integer ≥ 1 or null, got 0 instead",
            "r.yaml:9:20: unknown key 'turn' of augmentation; brightness, contrast, erasing, horizontal_flip, padding_crop, policy, random_resized_crop, rotation, saturation, shear, shift, vertical_flip, … (13 in all)",
        ],
    ),
]

# Whole documents.
DOCUMENTS: list[tuple[str, list[str]]] = [
    ("", ["r.yaml:1:1: the document is empty"]),
    ("# nothing\n", ["r.yaml:2:1: the document is empty"]),
    ("- r\n", ["r.yaml:1:1: a registry file is a mapping with `version: 1` and `recipes`"]),
    ("text\n", ["r.yaml:1:1: a registry file is a mapping with `version: 1` and `recipes`"]),
    ("recipes: {}\n", ["r.yaml:1:1: the file has no version; write `version: 1`"]),
    ("version: 2\n", ["r.yaml:1:10: version must be 1, got 2 instead"]),
    ("version: '1'\n", ["r.yaml:1:10: version must be 1, got '1' instead"]),
    ("version: 1\nrecipez: {}\n", ["r.yaml:2:1: unknown key 'recipez'; did you mean 'recipes'?"]),
    ("version: 1\nrecipes: []\n", ["r.yaml:2:10: recipes must be a mapping"]),
    ("version: 1\ndefaults: 3\n", ["r.yaml:2:11: defaults must be a mapping"]),
    (
        "version: 1\ndefaults: {training: {epochs: 0}}\n",
        ["r.yaml:2:31: training.epochs must be an integer ≥ 1 or null, got 0 instead"],
    ),
    (
        "version: 1\ndefaults: {colour: red}\n",
        [
            "r.yaml:2:12: unknown block 'colour'; blocks are data, architecture, optimizer, schedule, loss, weights, freeze, distill, regularizers, augmentation, training, acquisition, active, search, target"
        ],
    ),
    (
        "version: 1\nrecipes: {R2 D2: {}}\n",
        ["r.yaml:2:11: a recipe's name is lower-case words with dashes, like my-photos, got 'R2 D2' instead"],
    ),
    ("version: 1\nrecipes: {r: 3}\n", ["r.yaml:2:14: recipe 'r' must be a mapping of blocks"]),
    (
        "version: 1\nrecipes:\n  r: {}\n",
        [
            "r.yaml:3:3: recipe 'r' has no architecture",
            "r.yaml:3:3: recipe 'r' has no data",
            "r.yaml:3:3: recipe 'r' has no optimizer",
        ],
    ),
    (
        "version: 1\nrecipes:\n  r: {extends: s}\n  s: {extends: r}\n",
        [
            "r.yaml:3:3: recipe 'r' has no architecture",
            "r.yaml:3:3: recipe 'r' has no data",
            "r.yaml:3:3: recipe 'r' has no optimizer",
            "r.yaml:3:16: recipes extend one another in a circle: s → r → s",
            "r.yaml:4:16: recipes extend one another in a circle: r → s → r",
        ],
    ),
    (
        "version: 1\nrecipes:\n  r: {data: {name: digits, image_size: 0}}\n",
        [
            "r.yaml:3:3: recipe 'r' has no architecture",
            "r.yaml:3:3: recipe 'r' has no optimizer",
            "r.yaml:3:40: data.image_size must be auto or an integer ≥ 1, ≤ 4096, got 0 instead",
        ],
    ),
    (
        "version: 1\nrecipes: &all {}\n",
        ["r.yaml:2:10: anchors are not read: leave out '&all'; recipes share through extends"],
    ),
    (
        "version: 1\nrecipes: *all\n",
        ["r.yaml:2:10: aliases are not read: write out what '*all' stands for, or use extends"],
    ),
    ("version: 1\nrecipes: !!map {}\n", ["r.yaml:2:10: tags are not read: leave out 'tag:yaml.org,2002:map'"]),
    ("version: 1\nrecipes: {r: {<<: {}}}\n", ["r.yaml:2:15: merge keys are not read: recipes share through extends"]),
    ("version: 1\nrecipes: {[a]: {}}\n", ["r.yaml:2:11: a key must be text"]),
    ("version: 1\n---\nversion: 1\n", ["r.yaml:2:1: a file holds one document; leave out what follows '---'"]),
    ("version: 1\nrecipes: {r: {}\n", ["r.yaml:3:1: this is not YAML: did not find expected ',' or '}'"]),
    ("version: 1\nrecipes:\n\tr: {}\n", ["r.yaml:3:1: a tab indents this line; YAML wants spaces"]),
    ('version: 1\nrecipes: {r: "\x07"}\n', ["r.yaml:2:15: the character U+0007 is not allowed in YAML"]),
    ("version: 1\nrecipes: " + "{a: " * 40 + "1" + "}" * 40 + "\n", ["r.yaml:2:134: a document has at most 32 levels"]),
]


def messages(text: str | bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is said of a file `r.yaml` with this text when its recipe `r`, where it has one, is asked for."""
    file = tmp_path / "r.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError) as caught:
        registry = Registry.load(CATALOG, Path("r.yaml"))
        registry.resolve("r") if "r" in registry.names() else registry.check()
    assert {problem.recipe for problem in caught.value.problems} <= {"", "r", "s", "R2 D2"}
    return [f"{problem.where}: {problem.message}" for problem in caught.value.problems]


@pytest.mark.parametrize(("text", "expected"), BLOCKS)
def test_a_bad_block(text: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert messages(RECIPE + text, tmp_path, monkeypatch) == expected


@pytest.mark.parametrize(("text", "expected"), DOCUMENTS)
def test_a_bad_document(text: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert messages(text, tmp_path, monkeypatch) == expected


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("architecture: conv-nett", "r.yaml:5:19: unknown architecture 'conv-nett'; did you mean 'conv-net'?"),
        ("architecture: 3", "r.yaml:5:19: architecture must be a name or a mapping with `name`, got 3 instead"),
        (
            "architecture: {filters: 3}",
            "r.yaml:5:19: architecture needs a `name`: batchbald-cnn, conv-net, convnext-atto, convnext-tiny, crnn, efficientnet-b0, ensemble, irnn, …",
        ),
        ("architecture: {name: [conv-net]}", "r.yaml:5:26: architecture.name must be text, got a list of 1 instead"),
        (
            "architecture: {name: conv-net, filter: 3}",
            "r.yaml:5:36: unknown key 'filter' of architecture; did you mean 'filters'?",
        ),
        (
            "architecture: {name: conv-net, filters: -3}",
            "r.yaml:5:45: architecture.filters must be an integer ≥ 1, got -3 instead",
        ),
        (
            "architecture: {name: timm, model: ''}",
            "r.yaml:5:39: architecture.model must be text of at least 1 characters, got '' instead",
        ),
    ],
)
def test_a_bad_component(block: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert messages(RECIPE.replace("architecture: conv-net", block), tmp_path, monkeypatch) == [expected]


def test_bytes_that_are_not_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"version: 1\nrecipes: {caf\xe9: {}}\n"
    assert messages(text, tmp_path, monkeypatch) == ["r.yaml:2:14: text must be UTF-8, got the byte 0xe9 instead"]


def test_a_document_of_more_than_a_megabyte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "version: 1\n" + "#" * 1_000_000
    assert messages(text, tmp_path, monkeypatch) == [
        "r.yaml: a document has at most 1,000,000 bytes, got 1,000,011 instead"
    ]


FAULTY = """version: 1
recipes:
  good: {extends: conv-net-momentum}
  bad: {extends: conv-net-momentum, optimizer: {lr: -1}, los: bce}
  child:
    extends: bad
    optimizer: {lr: 0.1}
  Bad Name: {extends: conv-net-momentum}
  scalar: 3
  orphan: {extends: xyz, data: digits, architecture: conv-net, optimizer: sgd}
defaults: {training: {batch_size: 7}}
"""
FAULTS = [
    "r.yaml:4:53: recipe 'bad': optimizer.lr must be a number > 0, got -1 instead",
    "r.yaml:4:58: recipe 'bad': unknown block 'los'; did you mean 'loss'?",
    "r.yaml:8:3: recipe 'Bad Name': a recipe's name is lower-case words with dashes, like my-photos, got 'Bad Name' instead",
    "r.yaml:9:11: recipe 'scalar' must be a mapping of blocks",
    "r.yaml:10:21: recipe 'orphan': unknown recipe 'xyz'",
]


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    (tmp_path / "r.yaml").write_text(FAULTY)
    monkeypatch.chdir(tmp_path)
    return Registry.load(CATALOG, Path("r.yaml"))


def test_a_bad_recipe_harms_no_other_of_its_file(faulty: Registry) -> None:
    assert faulty.resolve("good").training.batch_size == 7
    assert faulty.resolve("conv-net-momentum").optimizer.name == "momentum"
    assert [str(problem) for problem in faulty.faults] == FAULTS


@pytest.mark.parametrize("name", ["bad", "child", "Bad Name", "orphan"])
def test_a_bad_recipe_and_one_that_extends_it_are_refused_with_all_that_is_wrong_in_the_file(
    name: str, faulty: Registry
) -> None:
    with pytest.raises(RecipeError) as caught:
        faulty.resolve(name)
    assert [str(problem) for problem in caught.value.problems] == FAULTS


def test_a_list_says_of_a_bad_recipe_where_its_fault_is(faulty: Registry) -> None:
    lines = {row.name: row.summary for row in faulty.listed()}
    assert lines["bad"] == lines["child"] == "cannot be used: see r.yaml:4:53"
    assert lines["scalar"] == "cannot be used: see r.yaml:9:11"
    assert lines["good"].startswith("conv-net on digits with momentum")


def test_a_key_that_stands_twice_refuses_the_whole_file(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(FAULTY.replace("  scalar: 3\n", "  good: {}\n"))
    with pytest.raises(RecipeError, match=r"the key 'good' stands here twice"):
        Registry.load(CATALOG, tmp_path / "r.yaml")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("optimizer.lr", "a setting is KEY=VALUE, like optimizer.lr=0.05, got 'optimizer.lr' instead"),
        ("optimizer..lr=1", "a setting is KEY=VALUE, like optimizer.lr=0.05, got 'optimizer..lr=1' instead"),
        ("optimizer.lr=fast", "optimizer.lr must be a number > 0, got 'fast' instead (optimizer.lr=fast)"),
        ("optimizer.lr=.nan", "a number must be finite, got .nan instead (optimizer.lr=.nan)"),
        ("optimizer.lr=", "optimizer.lr must be a number > 0, got null instead (optimizer.lr=)"),
        ("optimiser.lr=1", "unknown block 'optimiser'; did you mean 'optimizer'? (optimiser.lr=1)"),
        (
            "extends=x",
            "unknown block 'extends'; blocks are data, architecture, optimizer, schedule, loss, weights, freeze, distill, regularizers, augmentation, training, acquisition, active, search, target (extends=x)",
        ),
        (
            "regularizers.dropout=null",
            "there is no regularizer 'dropout' to remove; there are none (regularizers.dropout=null)",
        ),
        (
            "regularizers.mixupp.alpha=1",
            "unknown regularizer 'mixupp'; did you mean 'mixup'? (regularizers.mixupp.alpha=1)",
        ),
        ("data.classes=[a", "this is not YAML: did not find expected ',' or ']' (data.classes=[a)"),
        (
            "optimizer={name: adamw, momentum: 1}",
            "unknown key 'momentum' of optimizer; beta1, beta2, eps, lr, name (optimizer={name: adamw, momentum: 1})",
        ),
    ],
)
def test_a_bad_setting_on_the_command_line(override: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE)
    with pytest.raises(RecipeError) as caught:
        Registry.load(CATALOG, tmp_path / "r.yaml").resolve("r", [override])
    assert [str(problem) for problem in caught.value.problems] == [f"command line: {expected}"]
