"""Checkpoints: a state tree as safetensors plus JSON, written whole or not at all, verified when read.

Nothing is pickled. A checkpoint is a folder `step-00000042` of `tensors.safetensors` and `state.json`; `index.json` names the
folders that are the last, the one before it, and the best, with a SHA-256 for each file. A folder in no role is removed.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import torch as safetensors
from torch import Tensor

from zoo import storage
from zoo.errors import ComponentError, RunError

_TENSORS, _STATE = "tensors.safetensors", "state.json"
_DTYPES = {str(value): value for value in vars(torch).values() if isinstance(value, torch.dtype)}


def encode(tree: Any) -> tuple[dict[str, Tensor], Any]:
    """Return (tensors by path, JSON skeleton) of a tree of tensors, mappings, lists, tuples and scalars.

    Tensors become contiguous copies on the CPU; one that appears twice is stored once. Raises ComponentError for any
    other type, naming its path.
    """
    tensors: dict[str, Tensor] = {}
    seen: dict[tuple[Any, ...], str] = {}

    def walk(value: Any, path: str) -> Any:
        if isinstance(value, Tensor):
            identity = (value.data_ptr(), value.dtype, tuple(value.shape), value.stride(), value.device)
            if value.numel() == 0 or identity not in seen:
                seen[identity] = path
                tensors[path] = value.detach().to("cpu", copy=True).contiguous()
            return {"$tensor": seen[identity] if value.numel() else path}
        if value is None or isinstance(value, (bool, int, str)):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"$float": repr(value)}
        if isinstance(value, torch.dtype):
            return {"$dtype": str(value)}
        if isinstance(value, tuple):
            return {"$tuple": [walk(item, f"{path}/{i}") for i, item in enumerate(value)]}
        if isinstance(value, list):
            return [walk(item, f"{path}/{i}") for i, item in enumerate(value)]
        if isinstance(value, Mapping):
            if all(isinstance(key, str) and not key.startswith("$") for key in value):
                return {key: walk(item, f"{path}/{key}") for key, item in value.items()}
            return {"$items": [[key, walk(item, f"{path}/{key}")] for key, item in value.items()]}
        raise ComponentError(
            f"the state of {path!r} holds a {type(value).__name__}, which a checkpoint cannot keep",
            possible="tensors, lists, tuples, mappings, None, bool, int, float, str, torch.dtype",
        )

    return tensors, walk(tree, "")


def decode(tensors: Mapping[str, Tensor], skeleton: Any) -> Any:
    """Return the tree that `encode` took apart; aliases come back as one tensor."""
    if isinstance(skeleton, list):
        return [decode(tensors, item) for item in skeleton]
    if not isinstance(skeleton, dict):
        return skeleton
    if len(skeleton) == 1:
        ((tag, value),) = skeleton.items()
        if tag == "$tensor":
            return tensors[value]
        if tag == "$float":
            return float(value)
        if tag == "$dtype":
            return _DTYPES[value]
        if tag == "$tuple":
            return tuple(decode(tensors, item) for item in value)
        if tag == "$items":
            return {key: decode(tensors, item) for key, item in value}
    return {key: decode(tensors, item) for key, item in skeleton.items()}


def dumps(tree: Any) -> dict[str, bytes]:
    """Return the files of a checkpoint; equal trees give equal bytes."""
    tensors, skeleton = encode(tree)
    return {_TENSORS: safetensors.save(tensors), _STATE: json.dumps(skeleton, allow_nan=False).encode()}


def loads(files: Mapping[str, bytes]) -> Any:
    """Return the tree that `dumps` wrote."""
    return decode(safetensors.load(files[_TENSORS]), json.loads(files[_STATE]))


class Kept(msgspec.Struct, frozen=True):
    """One checkpoint of the index: its folder and the SHA-256 of each file in it."""

    folder: str
    step: int
    sha256: dict[str, str]


class Index(msgspec.Struct, frozen=True):
    """Which checkpoints a run keeps."""

    last: Kept | None = None
    previous: Kept | None = None
    best: Kept | None = None


class Checkpoints:
    """The checkpoints of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def index(self) -> Index:
        """Return the index; raises RunError when it is damaged."""
        try:
            return msgspec.json.decode((self.folder / "index.json").read_bytes(), type=Index)
        except FileNotFoundError:
            return Index()
        except (msgspec.DecodeError, OSError) as error:
            raise RunError(f"{self.folder / 'index.json'} is damaged: {error}") from error

    def save(self, tree: Any, step: int, *, best: bool) -> Path:
        """Write the state after optimizer step `step`; it becomes the last, and with `best` the best as well."""
        files = dumps(tree)
        old = self.index()
        taken = {kept.folder for kept in (old.last, old.previous, old.best) if kept is not None}
        names = (f"step-{step:08d}" + ("" if n == 0 else f"-{n}") for n in range(len(taken) + 1))
        name = next(name for name in names if name not in taken)
        storage.make_folder(self.folder)
        storage.write_folder(self.folder / name, files)
        kept = Kept(name, step, {file: hashlib.sha256(data).hexdigest() for file, data in files.items()})
        new = Index(last=kept, previous=old.last, best=kept if best else old.best)
        self._write(new)
        return self.folder / name

    def load_last(self) -> tuple[Any, list[str]]:
        """Return the newest undamaged state, and a note on each damaged one that was skipped."""
        index = self.index()
        notes: list[str] = []
        for kept in (index.last, index.previous):
            if kept is None:
                continue
            problem, tree = self._read(kept)
            if not problem:
                return tree, notes
            notes.append(f"checkpoint {kept.folder} is damaged ({problem}); going back to the one before it")
        raise RunError(
            f"no usable checkpoint in {self.folder}" + (f": {'; '.join(notes)}" if notes else ""),
            hint="train anew in another --run DIR",
        )

    def drop_last(self) -> None:
        """Forget the last checkpoint, which is damaged, so that the one before it is not swept away in its place."""
        old = self.index()
        self._write(Index(last=old.previous, best=old.best))

    def load_best(self) -> Any:
        """Return the state of the best epoch, or of the last one where no epoch was validated."""
        index = self.index()
        kept = index.best or index.last
        if kept is None:
            raise RunError(f"no checkpoint in {self.folder}", hint="the run has not started to train")
        problem, tree = self._read(kept)
        if problem:
            raise RunError(
                f"checkpoint {self.folder / kept.folder} is damaged: {problem}",
                hint="train anew in another --run DIR",
            )
        return tree

    def _read(self, kept: Kept) -> tuple[str, Any]:
        files: dict[str, bytes] = {}
        for name, digest in kept.sha256.items():
            try:
                files[name] = (self.folder / kept.folder / name).read_bytes()
            except OSError as error:
                return f"{name}: {(error.strerror or str(error)).lower()}", None
            if hashlib.sha256(files[name]).hexdigest() != digest:
                return f"{name} does not match its SHA-256", None
        return "", loads(files)

    def _write(self, index: Index) -> None:
        storage.write_bytes(self.folder / "index.json", msgspec.json.format(msgspec.json.encode(index), indent=2))
        self._sweep(index)

    def _sweep(self, index: Index) -> None:
        kept = {entry.folder for entry in (index.last, index.previous, index.best) if entry is not None}
        for folder in self.folder.iterdir():
            if folder.is_dir() and folder.name not in kept:
                storage.remove_folder(folder)
