"""The `augmentation` block of a recipe: its fields are the keys, their types and `Meta` ranges the checks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import force_setattr

from zoo.errors import ZooError

Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
Arrangement = Literal["permute-pixels", "permute-rows", "permute-columns", "transpose", "translate"]
PolicyName = Literal["trivial-augment", "rand-augment", "augmix"]

# What each policy takes, with its defaults.
PARAMETERS: dict[str, dict[str, int | None]] = {
    "trivial-augment": {},
    "rand-augment": {"operations": 2, "magnitude": 9},
    "augmix": {"width": 3, "depth": None, "severity": 3},
}


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A law that draws operations and their strengths; what a policy does not take may not be given."""

    name: Annotated[
        PolicyName | None,
        Meta(description="which of the three: `{name: rand-augment}`, or the bare name where nothing else is given"),
    ] = None
    operations: Annotated[
        Annotated[int, Meta(ge=0, le=16)] | None, Meta(description="rand-augment: how many, one after another; 2")
    ] = None
    magnitude: Annotated[
        Annotated[int, Meta(ge=0, le=30)] | None, Meta(description="rand-augment: strength of all operations; 9")
    ] = None
    width: Annotated[Annotated[int, Meta(ge=1, le=16)] | None, Meta(description="augmix: chains that are mixed; 3")] = (
        None
    )
    depth: Annotated[
        Annotated[int, Meta(ge=1, le=16)] | None,
        Meta(description="augmix: operations in a chain; null draws 1, 2 or 3 for each"),
    ] = None
    severity: Annotated[
        Annotated[int, Meta(ge=1, le=10)] | None, Meta(description="augmix: strength of the operations at most; 3")
    ] = None

    def __post_init__(self) -> None:
        if self.name is None:
            raise ZooError(f"policy needs its name beside its parameters: {{name: {' | '.join(PARAMETERS)}, …}}")
        known = PARAMETERS[self.name]
        for field in self.__struct_fields__[1:]:
            if getattr(self, field) is None:
                force_setattr(self, field, known.get(field))
            elif field not in known:
                takes = ", ".join(known) or "no parameters"
                raise ZooError(f"policy {self.name} has no {field}; it takes {takes}")


class ResizedCrop(msgspec.Struct, frozen=True, kw_only=True):
    """A random rectangle of the image, resized to the image's size."""

    scale: Annotated[tuple[Share, Share], Meta(description="least and largest share of the image's area")] = (0.08, 1.0)
    ratio: Annotated[tuple[Positive, Positive], Meta(description="least and largest width over height")] = (
        0.75,
        1.3333,
    )

    def __post_init__(self) -> None:
        for name in ("scale", "ratio"):
            low, high = getattr(self, name)
            if low > high:
                raise ZooError(f"{name} must be [least, largest], got [{low:g}, {high:g}] instead")


class Augmentation(msgspec.Struct, frozen=True, kw_only=True):
    """Random changes of training images, drawn anew for each sample and epoch; 0, false or null leaves one out."""

    rotation: Annotated[float, Meta(ge=0, le=180, description="degrees, drawn from ±")] = 0.0
    shift: Annotated[float, Meta(ge=0, le=1, description="share of height and of width, drawn from ±")] = 0.0
    zoom: Annotated[float, Meta(ge=0, lt=1, description="scale drawn from 1 ± this")] = 0.0
    shear: Annotated[float, Meta(ge=0, lt=90, description="degrees, drawn from ±")] = 0.0
    horizontal_flip: Annotated[bool, Meta(description="mirror left and right, half of the time")] = False
    vertical_flip: Annotated[bool, Meta(description="mirror top and bottom, half of the time")] = False
    random_resized_crop: Annotated[
        ResizedCrop | None,
        Meta(
            description="bring a random rectangle of the image, of files as they are stored, to its size; {} for the usual ranges"
        ),
    ] = None
    padding_crop: Annotated[
        int, Meta(ge=0, le=256, description="pixels of black around the image before a random crop")
    ] = 0
    policy: Annotated[
        PolicyName | Policy | None, Meta(description="operations drawn from a set of fourteen; for 8-bit images")
    ] = None
    brightness: Annotated[float, Meta(ge=0, le=1, description="factor drawn from 1 ± this")] = 0.0
    contrast: Annotated[float, Meta(ge=0, le=1, description="factor drawn from 1 ± this")] = 0.0
    saturation: Annotated[float, Meta(ge=0, le=1, description="factor drawn from 1 ± this; colour images")] = 0.0
    erasing: Annotated[float, Meta(ge=0, le=1, description="how often a random rectangle is filled with the mean")] = (
        0.0
    )

    @property
    def warps(self) -> bool:
        """Whether pixels are moved by an affine map."""
        affine: tuple[Any, ...] = (self.rotation, self.shift, self.zoom, self.shear, self.random_resized_crop)
        return any(value not in (0, None) for value in affine)

    @property
    def geometric(self) -> bool:
        """Whether pixels are moved at all, policies apart."""
        return self.warps or self.horizontal_flip or self.vertical_flip or self.padding_crop > 0

    @property
    def chosen_policy(self) -> Policy | None:
        """The policy with its parameters; a bare name has the default ones."""
        return Policy(name=self.policy) if isinstance(self.policy, str) else self.policy
