from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.augmentation import Augmentation
from zoo.cli.main import main
from zoo.data.augment import Preprocess
from zoo.errors import ZooError
from zoo.evaluation.tta import check, keys, logits
from zoo.training.randomness import Draws
from zoo.training.reading import prepare_data

SMALL = ("architecture.filters=4", "architecture.hidden=16", "training.epochs=2", "training.threads=1")
FLIPS = Augmentation(horizontal_flip=True)


class Sides(nn.Module):
    """Gives the sums of the left and the right half of each image as two logits."""

    def forward(self, images: Tensor) -> Tensor:
        half = images.shape[3] // 2
        return torch.stack([images[..., :half].sum((1, 2, 3)), images[..., half:].sum((1, 2, 3))], 1)


def images(count: int = 40) -> Tensor:
    return torch.randint(0, 256, (count, 1, 4, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_without_views_the_logits_are_those_of_the_plain_images() -> None:
    preprocess = Preprocess((0.5,), (0.2,), FLIPS)
    assert torch.equal(logits(Sides(), preprocess, images(), 0), Sides()(preprocess.evaluate(images())))


@pytest.mark.parametrize("views", [1, 5])
def test_with_flips_the_answer_is_the_mean_of_the_image_and_its_views(views: int) -> None:
    """A view is the image or its mirror; the draw of each view says which."""
    preprocess = Preprocess((0.5,), (0.2,), FLIPS)
    plain = preprocess.evaluate(images())
    straight, mirrored = (torch.softmax(Sides()(view), 1) for view in (plain, plain.flip(3)))
    samples = keys(images())
    total = straight.clone()
    for view in range(1, views + 1):
        flipped = Draws(0, -view, samples).uniform("augment", 7)[:, 5] < 0.5
        total += torch.where(flipped[:, None], mirrored, straight)
    result = logits(Sides(), preprocess, images(), views)
    torch.testing.assert_close(result.exp(), total / (views + 1))
    assert not torch.allclose(result.exp(), straight)


def test_views_depend_on_the_image_and_not_on_its_neighbours() -> None:
    preprocess = Preprocess((0.5,), (0.2,), Augmentation(rotation=30, shift=0.2))
    whole = logits(Sides(), preprocess, images(), 3)
    order = torch.tensor([4, 0, 2])
    torch.testing.assert_close(logits(Sides(), preprocess, images()[order], 3), whole[order])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_any_pixel_changes_the_key_of_an_image(dtype: torch.dtype) -> None:
    base = images(1).to(dtype)
    changed = base.repeat(24, 1, 1, 1)
    changed.view(24, 24)[torch.arange(24), torch.arange(24)] += 1
    found = torch.cat([keys(base), keys(changed), keys(base.flip(3))])
    assert len(set(found.tolist())) == 26


def test_views_of_a_run_without_augmentation_are_refused() -> None:
    check(Preprocess((0.5,), (0.2,)), 0)
    with pytest.raises(ZooError, match="trained without augmentation"):
        check(Preprocess((0.5,), (0.2,)), 4)
    with pytest.raises(ZooError, match="tta must be at least 0, got -1 instead"):
        check(Preprocess((0.5,), (0.2,), FLIPS), -1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> zoo.Run:
    return zoo.train("conv-net-momentum", *SMALL, run=tmp_path_factory.mktemp("home") / "digits")


def test_evaluation_and_prediction_see_the_same_views_and_the_runs_own_figures_stay(run: zoo.Run) -> None:
    kept = (run.path / "predictions" / "test.npz").read_bytes()
    figures = zoo.evaluate(run, tta=4)
    assert figures["tta"] == 4 and "tta" not in zoo.evaluate(run)
    assert (run.path / "predictions" / "test.npz").read_bytes() == kept
    dataset = prepare_data(zoo.resolve("conv-net-momentum", registry=run.path / "recipe.yaml"))
    rows = np.load(run.path / "predictions" / "test-tta4.npz")
    probabilities = np.exp(rows["logits"].astype(np.float64))
    assert probabilities.sum(1) == pytest.approx(np.ones(len(probabilities)), abs=1e-5)
    classifier = zoo.load(run)
    pixels = dataset.splits["test"].pixels(dataset.size, 0)[::7]
    predictions = classifier.predict(pixels, tta=4)
    assert [p.probability for p in predictions] == pytest.approx(probabilities.max(1)[::7].tolist(), abs=1e-5)
    assert [p.probability for p in classifier.predict(pixels)] != [p.probability for p in predictions]
    purposes = [json.loads(line)["purpose"] for line in (run.path / "ledger.jsonl").read_text().splitlines()]
    assert "zoo eval --tta 4" in purposes


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_command_line_takes_views(run: zoo.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    plain = document(capsys, "eval", str(run.path), "--split", "validation")
    again = document(capsys, "eval", str(run.path), "--split", "validation", "--tta", "0")
    averaged = document(capsys, "eval", str(run.path), "--split", "validation", "--tta", "3")
    assert again == plain and averaged["loss"] != plain["loss"]
    Image.fromarray(images(1)[0, 0].numpy()).save(tmp_path / "a.png")
    single, mean = (
        document(capsys, "predict", str(run.path), str(tmp_path / "a.png"), *more) for more in ([], ["--tta", "3"])
    )
    assert single[0]["probability"] != mean[0]["probability"]
    assert main(["eval", str(run.path), "--split", "validation", "--tta", "3"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:3]]
    assert rows[0][:3] == ["validation", "360", f"{plain['loss']:.4f}"]
    assert rows[1][:5] == ["validation,", "3", "views", "360", f"{averaged['loss']:.4f}"]
    assert averaged["plain"] == {name: plain[name] for name in averaged["plain"]} and "plain" not in plain
    assert main(["eval", str(run.path), "--tta", "-1"]) == 2
