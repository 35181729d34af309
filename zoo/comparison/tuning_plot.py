"""The pictures of a study, as SVG: its trials in their order with the best so far, and what each parameter matters."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.comparison.trials import Trial, Tuning
from zoo.drawing import ACCENT, CURVE, GRID, HEIGHT, INK, POINTS, SECOND, WIDTH, line, opening, round_figures, words
from zoo.training.progress import improves

_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 48, 56  # margins, in pixels
_NAMES, _BAR, _ROW = 260, 18, 30  # of the bars: room for names, height, distance
_STATES = {"complete": CURVE, "pruned": POINTS}


def history(tuning: Tuning) -> str:
    """Return the figure of every trial over its number: complete ones dark, pruned ones pale, failed ones as crosses below."""
    shown = [trial for trial in tuning.finished if trial.value is not None and trial.state in _STATES]
    values = [trial.value for trial in shown if trial.value is not None]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    margin = 0.08 * (high - low) or abs(high) / 10 or 0.5
    plane = _Plane(low - margin, high + margin, max(1, len(tuning.trials) - 1))
    parts = [
        opening(),
        words(_LEFT, 26, f"{tuning.recipe}: {tuning.metric} of {len(tuning.finished)} trials", size=16),
        *plane.axes(len(tuning.trials)),
        *(plane.dot(trial) for trial in shown),
        *(plane.cross(trial) for trial in tuning.finished if trial.state == "failed"),
        plane.best(shown, tuning.metric),
        words(WIDTH / 2, HEIGHT - 14, "trial", anchor="middle"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def importance(tuning: Tuning) -> str:
    """Return a bar for each parameter: its share of the variance of the figure, and that it is a guess where trials are few."""
    height = _TOP + _ROW * (max(1, len(tuning.importances)) + (tuning.caution is not None)) + 20
    parts = [opening(height), words(20, 26, f"{tuning.recipe}: share of the variance of {tuning.metric}", size=16)]
    for row, (name, share) in enumerate(tuning.importances.items()):
        y = _TOP + _ROW * row
        length = share * (WIDTH - _NAMES - 70)
        parts.append(words(_NAMES - 10, y + 13.5, name, anchor="end"))
        parts.append(f'<rect x="{_NAMES}" y="{y}" width="{length:.1f}" height="{_BAR}" fill="{CURVE}"/>')
        parts.append(words(_NAMES + length + 8, y + 13.5, f"{share:.2f}"))
    if tuning.caution is not None:
        parts.append(words(20, height - 24, tuning.caution, colour=SECOND))
    if not tuning.importances:
        parts.append(words(20, _TOP + 14, "two complete trials of different figures are needed", colour=SECOND))
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Plane:
    """Where figures and numbers of trials lie in the picture."""

    def __init__(self, bottom: float, top: float, last: int) -> None:
        self.bottom, self.top, self.last = bottom, top, last

    def x(self, number: float) -> float:
        return _LEFT + 12 + number / self.last * (WIDTH - _LEFT - _RIGHT - 24)

    def y(self, value: float) -> float:
        return HEIGHT - _BOTTOM - (value - self.bottom) / (self.top - self.bottom) * (HEIGHT - _TOP - _BOTTOM)

    def axes(self, trials: int) -> Iterator[str]:
        for value in round_figures(self.bottom, self.top):
            yield line(_LEFT, self.y(value), WIDTH - _RIGHT, self.y(value), GRID)
            yield words(_LEFT - 8, self.y(value) + 4.5, f"{value:.4g}", anchor="end")
        every = max(1, -(-trials // 12))
        for number in range(0, trials, every):
            yield words(self.x(number), HEIGHT - _BOTTOM + 18, str(number), anchor="middle")
        yield line(_LEFT, HEIGHT - _BOTTOM, WIDTH - _RIGHT, HEIGHT - _BOTTOM, INK)

    def dot(self, trial: Trial) -> str:
        return f'<circle cx="{self.x(trial.number):.1f}" cy="{self.y(trial.value or 0.0):.1f}" r="4" fill="{_STATES[trial.state]}"/>'

    def cross(self, trial: Trial) -> str:
        return words(self.x(trial.number), HEIGHT - _BOTTOM - 6, "×", anchor="middle", colour=ACCENT, size=16)

    def best(self, trials: list[Trial], metric: str) -> str:
        """Return the steps of the best complete trial so far."""
        points: list[str] = []
        best: float | None = None
        for trial in (trial for trial in trials if trial.state == "complete" and trial.value is not None):
            assert trial.value is not None
            before, best = best, trial.value if improves(metric, trial.value, best) else best
            assert best is not None
            points += [f"{self.x(trial.number):.1f},{self.y(best if before is None else before):.1f}"]
            points += [f"{self.x(trial.number):.1f},{self.y(best):.1f}"]
        return f'<polyline points="{" ".join(points)}" fill="none" stroke="{ACCENT}" stroke-width="1.5"/>'
