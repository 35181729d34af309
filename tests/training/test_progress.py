from __future__ import annotations

import pytest
import torch

from zoo.training.checkpoint import dumps, loads
from zoo.training.progress import Progress, Watch, improves


@pytest.mark.parametrize(
    ("metric", "value", "best", "delta", "expected"),
    [
        ("validation/loss", 0.9, 1.0, 0.0, True),
        ("validation/loss", 0.95, 1.0, 0.1, False),
        ("validation/accuracy", 0.9, 1.0, 0.0, False),
        ("validation/accuracy", 0.9, None, 0.0, True),
        ("validation/accuracy", 0.9, 0.9, 0.0, False),
        ("validation/loss", float("nan"), None, 0.0, False),
        ("validation/loss", float("nan"), 1.0, 0.0, False),
    ],
)
def test_losses_fall_and_other_figures_rise(
    metric: str, value: float, best: float | None, delta: float, expected: bool
) -> None:
    assert improves(metric, value, best, delta) is expected


def test_a_watch_remembers_the_best_epoch_and_counts_since() -> None:
    watch = Watch()
    seen = [watch.see("validation/accuracy", value, epoch) for epoch, value in enumerate([0.5, 0.7, 0.6, 0.7], 1)]
    assert seen == [True, True, False, False]
    assert (watch.best, watch.epoch, watch.stale) == (0.7, 2, 2)


def test_progress_survives_a_checkpoint_in_mid_epoch() -> None:
    progress = Progress(torch.device("cpu"), step=7, epoch=2, reductions=1, metrics_length=80)
    progress.best.see("validation/loss", 0.25, 2)
    progress.add(torch.tensor([0.5, 0.1]), torch.tensor([True, False]))
    back = Progress(torch.device("cpu"))
    back.load_state_dict(loads(dumps(progress.state_dict())))
    assert back.state_dict() == progress.state_dict()
    assert back.seen == 2 and int(back.correct) == 1 and back.best == Watch(0.25, 2, 0)
