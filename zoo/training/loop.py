"""The training loop. It prints nothing and calls nobody back: it yields what happened."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from zoo.components import OptimizerSpec
from zoo.data.loader import Batch, Loader
from zoo.errors import ComponentError, NonFiniteError
from zoo.evaluation.metrics import summarize
from zoo.evaluation.predictions import predict
from zoo.guard import guarded
from zoo.training.events import EpochDone, Evaluating, Event, StepDone
from zoo.training.experiment import Experiment
from zoo.training.progress import Progress
from zoo.training.randomness import Draws, stream
from zoo.training.schedule import factor


def fit(x: Experiment, progress: Progress) -> Iterator[Event]:
    """Train from where `progress` stands to the end of the recipe, yielding StepDone, Evaluating and EpochDone.

    At each yield the state is at the edge of an optimizer step and may be saved. Raises NonFiniteError before a step that
    would put infinities into the weights.
    """
    weights = x.regularizers.sample_weights(torch.from_numpy(x.dataset.splits["train"].labels))
    while progress.epoch < math.ceil(x.total_steps / x.steps_per_epoch) and not progress.stopped:
        yield from x.begin_epoch(progress.epoch)
        began, cpu = time.perf_counter(), time.process_time()
        start = progress.step - progress.epoch * x.steps_per_epoch
        left = min(x.total_steps, (progress.epoch + 1) * x.steps_per_epoch) - progress.step
        set_mode(x, training=True)
        waited = 0.0
        for batch in islice(x.train.training(x.recipe.training.seed, progress.epoch, start, weights), left):
            step_began = time.perf_counter() - batch.waited
            lr = _set_lr(x, progress)
            optimize(x, progress, batch)
            progress.step += 1
            waited += batch.waited
            yield StepDone(
                step=progress.step,
                epoch=progress.epoch + 1,
                loss=progress.loss,
                correct=progress.correct,
                seen=progress.seen,
                samples=batch.total,
                lr=lr,
                seconds=time.perf_counter() - step_began,
                waited=batch.waited,
            )
        trained = time.perf_counter() - began
        train = _train_metrics(x, progress)
        validation = {} if x.validation is None else (yield from validate(x, x.validation))
        metrics = {**train, **validation, "lr": x.optimizer.param_groups[0]["lr"]}
        best = progress.finish_epoch(x.recipe, metrics)
        timings = {
            "seconds": time.perf_counter() - began,
            "cpu_seconds": time.process_time() - cpu,
            "training_seconds": trained,
            "waited_seconds": waited,
        }
        yield EpochDone(epoch=progress.epoch, step=progress.step, metrics=metrics, timings=timings, best=best)


def optimize(x: Experiment, progress: Progress, batch: Batch) -> None:
    """Do one optimizer step on one batch."""
    seed, step, epoch, rank = x.recipe.training.seed, progress.step, progress.epoch, x.world.rank
    accumulate = min(x.recipe.training.accumulate, len(batch.images))
    micros = list(
        zip(
            *(torch.tensor_split(part, accumulate) for part in (batch.images, batch.labels, batch.samples)), strict=True
        )
    )
    draws = Draws(seed, epoch, batch.samples)
    passes = 0

    def gradients() -> None:
        nonlocal passes
        passes += 1
        x.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=x.device)
        for micro, (images, labels, samples) in enumerate(micros):
            drawn = Draws(seed, epoch, samples)
            last = micro == len(micros) - 1
            with (
                _explained(x, step),
                _synchronized(x.network, last),
                stream(seed, "forward", step, micro, rank, device=x.device),
            ):
                pixels, targets = x.regularizers.on_batch(x.preprocess.train(images, drawn), labels, drawn)
                with x.autocast():
                    logits = x.network(pixels)
                losses = x.losses(logits, targets, pixels)
                # Data-parallel gradients are averaged over processes, so each contributes its share times their number.
                loss = losses.sum() * (x.world.size / batch.total)
                penalty = x.regularizers.penalty(x.model) if last else None
                (loss if penalty is None else loss + penalty).backward()
            total += loss.detach()
            if passes == 1:
                hits = logits.argmax(1) == (targets if targets.ndim == 1 else targets.argmax(1))
                own = slice(len(images))  # outliers, which stand behind them, have no class
                progress.add(losses.detach()[own], hits[own])
        # Every process decides alike whether to stop; gradients are shared already.
        _clip_and_check(x, x.world.mean(total), step)

    def closure() -> None:
        with ExitStack() as stack:
            if passes:
                stack.enter_context(frozen_statistics(x.model))
            gradients()
            x.regularizers.before_step(x.model, step, draws)

    two_passes = isinstance(x.recipe.optimizer.spec, OptimizerSpec) and x.recipe.optimizer.spec.passes == 2
    if two_passes:
        x.optimizer.step(closure)  # type: ignore[arg-type]  # a two-pass optimizer asks for gradients, not for a loss
    else:
        closure()
        x.optimizer.step()
    x.regularizers.after_step(x.model, step, x.optimizer.param_groups)


def _clip_and_check(x: Experiment, loss: Tensor, step: int) -> None:
    training = x.recipe.training
    gradients = [p.grad for p in x.model.parameters() if p.grad is not None]
    if training.clip_norm is None and not training.check_finite:
        return
    norm = get_total_norm(gradients)
    if training.clip_norm is not None:
        clip_grads_with_norm_([p for p in x.model.parameters() if p.grad is not None], training.clip_norm, norm)
    # The one sync point of a step: the weights must not be updated by a gradient that is not finite.
    if training.check_finite and not math.isfinite(float(norm + loss)):
        raise NonFiniteError(
            f"loss or gradient is not finite at step {step + 1} (loss {float(loss):g}, gradient norm {float(norm):g})",
            possible="the weights of the last checkpoint are finite and kept",
            hint="a lower optimizer.lr, a longer schedule.warmup, or training.clip_norm=1",
        )


def _set_lr(x: Experiment, progress: Progress) -> float:
    scale = factor(x.recipe.schedule, progress.step, x.total_steps, progress.reductions)
    for group in x.optimizer.param_groups:
        group["lr"] = group["initial_lr"] * scale
    return float(x.optimizer.param_groups[0]["lr"])


def set_mode(x: Experiment, *, training: bool) -> None:
    """Put network and optimizer in training or evaluation mode."""
    x.network.train(training)
    # Schedule-free optimizers keep two sets of weights and switch between them here.
    switch: Callable[[], None] | None = getattr(x.optimizer, "train" if training else "eval", None)
    if switch is not None:
        switch()


def _train_metrics(x: Experiment, progress: Progress) -> dict[str, float]:
    seen = int(x.world.sum(torch.tensor(progress.seen, device=x.device)))
    loss, correct = x.world.sum(progress.loss), x.world.sum(progress.correct)
    return {"train/loss": float(loss) / seen, "train/accuracy": int(correct) / seen}


def validate(x: Experiment, validation: Loader) -> Generator[Evaluating, None, dict[str, float]]:
    """Evaluate the validation split and return its loss and accuracy."""
    set_mode(x, training=False)
    x.finish_evaluation_model()
    predictions = yield from predict(
        x.evaluation_network(),
        validation,
        x.preprocess,
        split="validation",
        device=x.device,
        precision=x.precision,
        world=x.world,
    )
    figures = summarize(predictions, x.dataset.classes)
    return {"validation/loss": figures["loss"], "validation/accuracy": figures["accuracy"]}


@contextmanager
def frozen_statistics(model: nn.Module) -> Iterator[None]:
    """Keep running statistics of norm layers as they are: a second pass over a batch must not count it twice."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._NormBase) and m.track_running_stats]
    saved = [(m.momentum, m.num_batches_tracked) for m in norms]
    for module in norms:
        module.momentum = 0.0
        module.num_batches_tracked = None if module.num_batches_tracked is None else module.num_batches_tracked.clone()
    try:
        yield
    finally:
        for module, (momentum, tracked) in zip(norms, saved, strict=True):
            module.momentum, module.num_batches_tracked = momentum, tracked


@contextmanager
def _explained(x: Experiment, step: int) -> Iterator[None]:
    try:
        with guarded(f"step {step + 1} of {x.recipe.architecture.name}", ComponentError):
            yield
    except ComponentError as error:
        if not isinstance(error.__cause__, torch.OutOfMemoryError):
            raise
        hint = "training.accumulate=2, or a smaller training.batch_size"
        raise ComponentError(error.problem, hint=hint) from error.__cause__


@contextmanager
def _synchronized(network: nn.Module, last: bool) -> Iterator[None]:
    # Gradients travel between processes once per step, with the last micro-batch.
    no_sync = getattr(network, "no_sync", None)
    if last or no_sync is None:
        yield
    else:
        with no_sync():
            yield
