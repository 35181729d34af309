"""The parameters of each regularizer; nothing here imports torch."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from zoo.components import Params
from zoo.errors import ComponentError

Probability = Annotated[float, Meta(ge=0, le=1)]


class WeightDecay(Params, frozen=True, kw_only=True):
    """Shrinks weights, but neither biases nor normalisation, towards zero at each step."""

    strength: Annotated[float, Meta(ge=0, description="coefficient of the decay")] = 5e-4
    form: Annotated[
        Literal["auto", "l2", "decoupled"],
        Meta(description="l2: part of the gradient; decoupled: apart from it; auto: the optimizer's form"),
    ] = "auto"


class Dropout(Params, frozen=True, kw_only=True):
    """Zeroes activations at random in training."""

    rate: Annotated[float, Meta(ge=0, lt=1, description="probability that an activation is zeroed")] = 0.5
    where: Annotated[
        Literal["head", "recurrent", "all"],
        Meta(description="head: before the classifier; recurrent: after recurrent layers; all: wherever it can act"),
    ] = "head"
    body: Annotated[
        Annotated[float, Meta(ge=0, lt=1)] | None,
        Meta(description="another rate between hidden layers, unless rate is 0; null: rate with `all`, else none"),
    ] = None


class LabelSmoothing(Params, frozen=True, kw_only=True):
    """Mixes the target distribution with the uniform one."""

    strength: Annotated[float, Meta(ge=0, lt=1, description="share of the uniform distribution")] = 0.1


class Ema(Params, frozen=True, kw_only=True):
    """Evaluates and keeps an exponential moving average of the weights."""

    decay: Annotated[
        float, Meta(ge=0, lt=1, description="share of the old average at each step; lower at the start of training")
    ] = 0.999


class Swa(Params, frozen=True, kw_only=True):
    """Evaluates and keeps the mean of the weights of the last epochs."""

    share: Annotated[float, Meta(ge=0, le=1, description="last part of training whose epochs are averaged")] = 0.25


class L1(Params, frozen=True, kw_only=True):
    """Adds the sum of absolute weights to the loss; biases and normalisation are spared."""

    strength: Annotated[float, Meta(ge=0, description="coefficient of the sum of absolute weights")] = 1e-5


class L2(Params, frozen=True, kw_only=True):
    """Adds the sum of squared weights to the loss; biases and normalisation are spared."""

    strength: Annotated[float, Meta(ge=0, description="coefficient of the sum of squared weights")] = 1e-4
    layers: Annotated[
        tuple[str, ...] | None, Meta(description="modules whose weights count, such as [hidden]; null: all")
    ] = None
    per_sample: Annotated[bool, Meta(description="divide the coefficient by the number of training samples")] = False


class DropPath(Params, frozen=True, kw_only=True):
    """Skips residual branches at random, sample by sample, the deeper the more often."""

    rate: Annotated[float, Meta(ge=0, lt=1, description="probability at the last block; it rises linearly from 0")] = (
        0.1
    )


class Mixup(Params, frozen=True, kw_only=True):
    """Trains on weighted means of two images and of their targets."""

    alpha: Annotated[float, Meta(ge=0, description="the weight is drawn from Beta(alpha, alpha)")] = 0.2


class CutMix(Params, frozen=True, kw_only=True):
    """Pastes a box of another image; targets are mixed by area."""

    probability: Annotated[Probability, Meta(description="share of the samples that get a box")] = 1.0
    alpha: Annotated[float, Meta(gt=0, description="the share that stays is drawn from Beta(alpha, alpha)")] = 1.0


class MixupCutMix(Params, frozen=True, kw_only=True):
    """Mixes each sample by mixup or by CutMix."""

    probability: Annotated[Probability, Meta(description="share of the samples that are mixed")] = 1.0
    switch: Annotated[Probability, Meta(description="share of CutMix among the mixed")] = 0.5
    mixup_alpha: Annotated[float, Meta(gt=0, description="Beta(alpha, alpha) of mixup")] = 0.8
    cutmix_alpha: Annotated[float, Meta(gt=0, description="Beta(alpha, alpha) of CutMix")] = 1.0


class RandomErasing(Params, frozen=True, kw_only=True):
    """Covers a box of each image with the mean colour or with noise."""

    probability: Annotated[Probability, Meta(description="share of the images that are erased")] = 0.25
    smallest: Annotated[float, Meta(gt=0, le=1, description="least area of the box, as a share of the image")] = 0.02
    largest: Annotated[float, Meta(gt=0, le=1, description="greatest area of the box, as a share of the image")] = 0.33
    aspect: Annotated[float, Meta(ge=1, description="height / width is between 1 / aspect and aspect")] = 3.3
    fill: Annotated[Literal["mean", "noise"], Meta(description="noise: standard normal, pixel by pixel")] = "mean"

    def __post_init__(self) -> None:
        if self.smallest > self.largest:
            raise ComponentError(f"smallest must be at most largest, got {self.smallest:g} and {self.largest:g}")


class GradientNoise(Params, frozen=True, kw_only=True):
    """Adds normal noise to the gradients, less and less of it."""

    eta: Annotated[float, Meta(ge=0, description="variance of the noise in the first step")] = 0.01
    gamma: Annotated[float, Meta(ge=0, description="step t, from 0, has the variance eta / (1 + t)^gamma")] = 0.55


class LayerDecay(Params, frozen=True, kw_only=True):
    """Lowers the learning rate from the classifier down to the stem."""

    strength: Annotated[
        float, Meta(ge=0, lt=1, description="share of its rate that a stage lacks to the stage above it")
    ] = 0.25


class ClassWeights(Params, frozen=True, kw_only=True):
    """Weights each sample's loss by its class."""

    weights: Annotated[
        Literal["balanced"] | list[Annotated[float, Meta(ge=0)]],
        Meta(description="one for each class in order; balanced: the inverse of the number of training samples"),
    ] = "balanced"
    strength: Annotated[float, Meta(ge=0, description="exponent of the weights; 1 takes them as they are")] = 1.0


class BalancedSampling(Params, frozen=True, kw_only=True):
    """Draws training samples of rare classes more often."""

    strength: Annotated[
        float, Meta(ge=0, le=1, description="0: as often as there are samples; 1: all classes alike")
    ] = 1.0


class LogitAdjustment(Params, frozen=True, kw_only=True):
    """Adds the logarithm of the classes' shares to the logits in the loss."""

    tau: Annotated[float, Meta(ge=0, description="factor of the logarithm")] = 1.0


class Focal(Params, frozen=True, kw_only=True):
    """Weights each sample's loss by how far it is from certain."""

    gamma: Annotated[float, Meta(ge=0, description="exponent of 1 - p, p being the probability of the label")] = 2.0


class OutlierExposure(Params, frozen=True, kw_only=True):
    """Raises the energy of images that are known to be of no class."""

    strength: Annotated[float, Meta(ge=0, description="factor of the loss of energies")] = 1.0
    share: Annotated[float, Meta(gt=0, le=1, description="outliers beside a batch, as a share of its size")] = 0.5
