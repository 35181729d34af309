"""Weights from elsewhere put into a model: a safetensors file, or what its architecture publishes.

Everything is checked before anything is changed: names and shapes from the file's header, before a tensor of it is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from zoo.errors import ComponentError, ZooError
from zoo.facts import Pretrained
from zoo.guard import guarded
from zoo.recipe import PRETRAINED
from zoo.training.hub import one_try
from zoo.training.lookalikes import lookalikes
from zoo.wording import few

MOSTLY = 0.9
HUB, FILE = "https://huggingface.co", "model.safetensors"
_DTYPES = {"F32": torch.float32, "F64": torch.float64, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}


@dataclass(frozen=True, slots=True)
class Described:
    """Shape and dtype of one tensor; the dtype as text where torch has no such."""

    shape: tuple[int, ...]
    dtype: torch.dtype | str


def load_weights(model: nn.Module, weights: str, published: Pretrained | None, architecture: str) -> list[str]:
    """Put weights into the model and return in words what was left out or changed.

    A classifier for another number of classes, or none, leaves the model's own, which starts at 0: some networks of timm draw that of
    a few classes so large that training from embeddings does not forget it. For images of one channel, weights of a first convolution for
    three are summed over them. Raises ComponentError, and changes nothing, where anything else differs or is not finite.
    """
    if weights == PRETRAINED:
        tensors, source = _published(published, architecture), f"the published weights of {architecture}"
        described = {name: Described(tuple(t.shape), t.dtype) for name, t in tensors.items()}
        plan = _Plan(model, described, source, architecture)
    else:
        source = f"weights {weights}"
        path = Path(weights).expanduser()
        plan = _Plan(model, _header(path, source), source, architecture)
        with _reading(source), safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in plan.taken}
    plan.fill(tensors)
    return plan.notes


class _Plan:
    """Which tensor goes where; raises ComponentError unless all of the model is accounted for."""

    def __init__(self, model: nn.Module, given: Mapping[str, Described], source: str, architecture: str) -> None:
        self.source, self.architecture = source, architecture
        self.state: dict[str, Tensor] = model.state_dict()
        prefix = getattr(model, "state_prefix", "")
        names = {f"{prefix}{name}" if f"{prefix}{name}" in self.state else name: name for name in given}
        classifier = _classifier(model)
        skipped = [name for name in names if name in classifier and given[names[name]].shape != self.state[name].shape]
        # A classifier for other classes has other shapes in all its parts, or its parts are replaced together.
        if skipped:
            skipped = [name for name in names if name in classifier]
        headless = bool(classifier) and not classifier & set(names)
        self.replaced = classifier if skipped or headless else set()
        self.taken = {old: new for new, old in names.items() if new not in skipped}
        wanted = set(self.state) - set(skipped) - (classifier if headless else set())
        self.given, self.total = given, len(wanted)
        self.fitting = sum(new in wanted and _fits(given[old], self.state[new]) for old, new in self.taken.items())
        self._check(given, wanted)
        self.notes = [
            f"left out of {source}, for other classes: {', '.join(sorted(names[name] for name in skipped))}"
        ] * bool(skipped)
        if headless:
            self.notes.append(f"{source}: there is no classifier in it")
        summed = [old for old, new in self.taken.items() if given[old].shape != self.state[new].shape]
        if summed:
            self.notes.append(f"{', '.join(summed)} of {source} summed over its three channels")

    def _check(self, given: Mapping[str, Described], wanted: set[str]) -> None:
        missing, extra = (
            sorted(wanted - set(self.taken.values())),
            sorted(n for o, n in self.taken.items() if n not in wanted),
        )
        if missing or extra:
            parts = [
                f"{kind} {few(names, 2)}"
                for kind, names in (("it lacks", missing), ("and has besides", extra))
                if names
            ]
            raise self._refused(" ".join(parts).removeprefix("and "))
        shapes = [
            f"{old} is {given[old].shape}, not {tuple(self.state[new].shape)}"
            for old, new in self.taken.items()
            if given[old].shape != self.state[new].shape and not _sums(given[old].shape, tuple(self.state[new].shape))
        ]
        if shapes:
            raise self._refused(few(shapes, separator="; "))
        dtypes = [
            f"{old} is {str(given[old].dtype).removeprefix('torch.')}, not {str(self.state[new].dtype).removeprefix('torch.')}"
            for old, new in self.taken.items()
            if given[old].dtype != self.state[new].dtype
        ]
        if dtypes:
            raise self._refused(few(dtypes, separator="; "))

    def _refused(self, why: str) -> ComponentError:
        alike = self._lookalikes()
        found = f"the file has the tensors of {' or '.join(alike)}"
        same = "float32 weights of the same architecture, with the same parameters and, for transformers, image size"
        return ComponentError(
            f"{self.source}: {self.fitting:,} of {self.total:,} tensors fit {self.architecture} as this recipe builds it: {why}",
            possible=found if alike else same,
            hint=f"architecture={alike[0]}"
            if alike and self.architecture not in alike
            else "architecture.stem=imagenet, data.image_size=224, another architecture, or weights=null",
        )

    def _lookalikes(self) -> list[str]:
        """Return the architectures that the file is of, where it is of another; a few tensors that differ are of a setting."""
        if self.fitting > MOSTLY * self.total:
            return []
        return lookalikes({name: tensor.shape for name, tensor in self.given.items()})

    def fill(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy the tensors into the model."""
        wrong = [
            name for name in self.taken if tensors[name].is_floating_point() and not tensors[name].isfinite().all()
        ]
        if wrong:
            raise ComponentError(
                f"{self.source}: not finite: {few(wrong)}", hint="a file that is whole, or weights=null"
            )
        with torch.no_grad():
            for old, new in self.taken.items():
                target, tensor = self.state[new], tensors[old]
                target.copy_(tensor if tensor.shape == target.shape else tensor.sum(1, keepdim=True))
            for name in self.replaced:
                self.state[name].zero_()


def _fits(given: Described, wanted: Tensor) -> bool:
    return given.shape == tuple(wanted.shape) and given.dtype == wanted.dtype


def _classifier(model: nn.Module) -> set[str]:
    path = getattr(model, "classifier", None)
    if not isinstance(path, str):
        return set()
    return {f"{path}.{name}" for name in model.get_submodule(path).state_dict()}


def _sums(given: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Return whether a convolution for three channels becomes one for one by a sum, as in timm's `adapt_input_conv`."""
    return len(given) == 4 and given[1] == 3 and wanted == (given[0], 1, *given[2:])


def _header(path: Path, source: str) -> dict[str, Described]:
    if not path.is_file():
        raise ComponentError(f"{source}: there is no such file", hint="weights=FILE.safetensors, or weights=pretrained")
    with _reading(source), safe_open(path, framework="pt") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
        return {
            name: Described(tuple(part.get_shape()), _DTYPES.get(part.get_dtype(), part.get_dtype()))
            for name, part in slices.items()
        }


@contextmanager
def _reading(source: str) -> Iterator[None]:
    """Turn what safetensors raises into one error that says what the file may be instead."""
    try:
        yield
    except (SafetensorError, OSError, UnicodeDecodeError) as error:
        raise ComponentError(
            f"{source}: not a whole safetensors file ({str(error).strip()})",
            possible="a file that safetensors wrote; files of torch.save hold programs and are never read",
            hint="download it again, or write the tensors with safetensors.torch.save_file",
        ) from error


def _published(published: Pretrained | None, architecture: str) -> Mapping[str, Tensor]:
    if published is None:
        raise ComponentError(
            f"nobody publishes weights for {architecture} as this recipe builds it",
            possible="weights=FILE.safetensors, or an architecture of timm",
            hint="architecture=resnet50, or weights=null",
        )
    on_hub = published.home.startswith(HUB)
    with one_try() if on_hub else nullcontext(True) as answers:
        try:
            with guarded(f"downloading the weights of {architecture}", ComponentError):
                tensors: Mapping[str, Tensor] = published.load()
                return tensors
        except ZooError as error:
            file = f"{published.home}/resolve/main/{FILE}" if on_hub else published.home or "its authors' file"
            raise ComponentError(
                error.problem
                if answers
                else f"the weights of {architecture} are not on this machine, and {HUB} does not answer",
                possible=f"a connection, or {file}, downloaded elsewhere",
                hint=f"weights={FILE if on_hub else 'FILE.safetensors'}",
            ) from error
