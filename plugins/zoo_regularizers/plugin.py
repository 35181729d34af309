"""What this plugin announces; the factories, and torch with them, are imported at first use."""

from __future__ import annotations

from collections.abc import Iterable

from zoo.components import RegularizerSpec
from zoo.hookspecs import hookimpl
from zoo_regularizers import schemas

_PARAMETERS = (
    RegularizerSpec(
        name="weight-decay",
        factory="zoo_regularizers.weight_decay:build",
        summary="L2 or decoupled decay of weights; biases and norms are spared",
        params=schemas.WeightDecay,
        strength="strength",
    ),
    RegularizerSpec(
        name="l1",
        factory="zoo_regularizers.penalties:build_l1",
        summary="penalty on absolute weights; biases and norms are spared",
        params=schemas.L1,
        strength="strength",
    ),
    RegularizerSpec(
        name="l2",
        factory="zoo_regularizers.penalties:build_l2",
        summary="penalty on squared weights, of chosen layers where wanted",
        params=schemas.L2,
        strength="strength",
    ),
    RegularizerSpec(
        name="gradient-noise",
        factory="zoo_regularizers.gradient_noise:build",
        summary="annealed normal noise on the gradients (Neelakantan et al., 2015)",
        params=schemas.GradientNoise,
        strength="eta",
    ),
    RegularizerSpec(
        name="layer-decay",
        factory="zoo_regularizers.layer_decay:build",
        summary="lower learning rates for earlier layers (Clark et al., ICLR 2020)",
        params=schemas.LayerDecay,
        strength="strength",
    ),
    RegularizerSpec(
        name="ema",
        factory="zoo_regularizers.averaging:build_ema",
        summary="keeps a moving average of the weights (Polyak and Juditsky, 1992)",
        params=schemas.Ema,
        strength="decay",
        conflicts=("swa",),
    ),
    RegularizerSpec(
        name="swa",
        factory="zoo_regularizers.averaging:build_swa",
        summary="keeps the mean of the last epochs' weights (Izmailov et al., UAI 2018)",
        params=schemas.Swa,
        strength="share",
        conflicts=("ema",),
    ),
)

_ACTIVATIONS = (
    RegularizerSpec(
        name="dropout",
        factory="zoo_regularizers.dropout:build",
        summary="zeroes activations at random (Srivastava et al., JMLR 2014)",
        params=schemas.Dropout,
        strength="rate",
    ),
    RegularizerSpec(
        name="drop-path",
        factory="zoo_regularizers.drop_path:build",
        summary="stochastic depth: skips residual branches (Huang et al., ECCV 2016)",
        params=schemas.DropPath,
        strength="rate",
        build_argument="drop_path_rate",
    ),
)

_BATCHES = (
    RegularizerSpec(
        name="mixup",
        factory="zoo_regularizers.mixing:build_mixup",
        summary="means of two images and of their targets (Zhang et al., ICLR 2018)",
        params=schemas.Mixup,
        strength="alpha",
        rewrites_targets=True,
    ),
    RegularizerSpec(
        name="cutmix",
        factory="zoo_regularizers.mixing:build_cutmix",
        summary="pastes boxes of other images, targets by area (Yun et al., ICCV 2019)",
        params=schemas.CutMix,
        strength="probability",
        rewrites_targets=True,
    ),
    RegularizerSpec(
        name="mixup-cutmix",
        factory="zoo_regularizers.mixing:build_both",
        summary="mixup or CutMix, drawn for each sample",
        params=schemas.MixupCutMix,
        strength="probability",
        rewrites_targets=True,
    ),
    RegularizerSpec(
        name="random-erasing",
        factory="zoo_regularizers.erasing:build",
        summary="covers a random box of the image (Zhong et al., AAAI 2020)",
        params=schemas.RandomErasing,
        strength="probability",
    ),
    RegularizerSpec(
        name="balanced-sampling",
        factory="zoo_regularizers.imbalance:build_balanced_sampling",
        summary="draws samples of rare classes more often",
        params=schemas.BalancedSampling,
        strength="strength",
        conflicts=("class-weights", "logit-adjustment"),  # one imbalance would be corrected twice
    ),
)

_LOSSES = (
    RegularizerSpec(
        name="label-smoothing",
        factory="zoo_regularizers.label_smoothing:build",
        summary="softens the targets of the loss (Szegedy et al., CVPR 2016)",
        params=schemas.LabelSmoothing,
        strength="strength",
        replaces_loss=True,
    ),
    RegularizerSpec(
        name="focal",
        factory="zoo_regularizers.focal:build",
        summary="focal loss: little weight for easy samples (Lin et al., ICCV 2017)",
        params=schemas.Focal,
        strength="gamma",
        replaces_loss=True,
        needs_labels=True,
    ),
    RegularizerSpec(
        name="outlier-exposure",
        factory="zoo_regularizers.exposure:build",
        summary="learns from images of no known class (Hendrycks et al., ICLR 2019)",
        params=schemas.OutlierExposure,
        strength="strength",
        replaces_loss=True,
    ),
    RegularizerSpec(
        name="class-weights",
        factory="zoo_regularizers.imbalance:build_class_weights",
        summary="weights the loss by class, by default against imbalance",
        params=schemas.ClassWeights,
        strength="strength",
        replaces_loss=True,
        needs_labels=True,
    ),
    RegularizerSpec(
        name="logit-adjustment",
        factory="zoo_regularizers.imbalance:build_logit_adjustment",
        summary="shifts logits by class frequency in the loss (Menon et al., ICLR 2021)",
        params=schemas.LogitAdjustment,
        strength="tau",
        replaces_loss=True,
    ),
)


@hookimpl
def zoo_regularizers() -> Iterable[RegularizerSpec]:
    return (*_PARAMETERS, *_ACTIVATIONS, *_BATCHES, *_LOSSES)
