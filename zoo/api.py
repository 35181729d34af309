"""The Python interface: the powers of the command line as functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError
from zoo.plugins import Catalog, load_catalog
from zoo.recipe import Recipe
from zoo.registry import Registry

if TYPE_CHECKING:
    from zoo.augmentation import Arrangement
    from zoo.comparison.events import Progress
    from zoo.comparison.question import Question
    from zoo.comparison.trials import Trial, Tuning
    from zoo.training.dryrun import DryRun
    from zoo.training.events import Event
    from zoo.training.lr_find import Sweep
    from zoo.training.run import Run


@cache
def catalog() -> Catalog:
    """Return the catalog of installed plugins, loaded once."""
    return load_catalog()


def resolve(name: str, *overrides: str, data: str | None = None, registry: str | Path | None = None) -> Recipe:
    """Return a recipe resolved as `zoo train` would: overrides are strings like `optimizer.lr=0.05`.

    Raises RecipeError or UnknownNameError.
    """
    loaded = Registry.load(catalog(), None if registry is None else Path(registry))
    return loaded.resolve(name, overrides, data=data)


def train(
    recipe: str | Recipe,
    *overrides: str,
    data: str | None = None,
    run: str | Path | None = None,
    seed: int | None = None,
    device: str = "auto",
    registry: str | Path | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Run:
    """Train a recipe and return its run; `run.summary` holds the figures.

    `on_event` hears every event of `zoo.training.events`. Raises ZooError for whatever is wrong with the input; DataError at the
    very end where test cannot be read: the run is finished then, without figures on test.
    """
    from zoo.training.session import Session

    recipe = _resolved(recipe, overrides, data, seed, registry)
    session = Session.start(recipe, catalog=catalog(), run=None if run is None else Path(run), device=device)
    return _drive(session, on_event)


def resume(run: str | Path, *, device: str = "auto", on_event: Callable[[Event], None] | None = None) -> Run:
    """Go on with a run that was stopped, bit by bit as if it had not been, and return it; a finished one as it is."""
    from zoo.training.run import find_run
    from zoo.training.session import Session

    found = find_run(run)
    if found.summary is not None:
        return found
    return _drive(Session.resume(found.path, catalog=catalog(), device=device), on_event)


def dry_run(
    recipe: str | Recipe,
    *overrides: str,
    data: str | None = None,
    seed: int | None = None,
    device: str = "auto",
    registry: str | Path | None = None,
) -> DryRun:
    """Prove that a run of the recipe will start, and return what two steps showed."""
    from zoo.training import dryrun

    return dryrun.dry_run(_resolved(recipe, overrides, data, seed, registry), device=device, catalog=catalog())


def lr_find(
    recipe: str | Recipe,
    *overrides: str,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
    data: str | None = None,
    seed: int | None = None,
    device: str = "auto",
    registry: str | Path | None = None,
) -> Sweep:
    """Train on some batches of a recipe while the learning rate rises, and return the losses and a rate to train with.

    `sweep.steepest` is the recommended rate. No run is made, and neither validation nor test is looked at.
    """
    from zoo.training import lr_find as range_test

    resolved = _resolved(recipe, overrides, data, seed, registry)
    return range_test.sweep(resolved, lowest=lowest, highest=highest, steps=steps, device=device, catalog=catalog())


def tune(
    recipe: str | Recipe,
    *overrides: str,
    run: str | Path,
    trials: int = 20,
    ranges: Sequence[str] = (),
    sampler: str = "random",
    sampler_seed: int = 0,
    prune: bool = False,
    timeout: float | None = None,
    data: str | None = None,
    seed: int | None = None,
    device: str = "auto",
    registry: str | Path | None = None,
    on_event: Callable[[int, Event], None] | None = None,
    on_trial: Callable[[Trial], None] | None = None,
) -> Tuning:
    """Search the ranges of a recipe's `search` block on validation, and return the study in the folder `run`.

    `ranges` are strings like `optimizer.lr=log:1e-4..1e-1` that change or add one; `timeout` is in seconds. Called again with the
    same folder it goes on, and several processes share the trials. `tuning.best` is the best trial; test is not evaluated.
    """
    from zoo.comparison.tuning import tune as search

    resolved = _resolved(recipe, overrides, data, seed, registry, ranges)
    return search(
        resolved, catalog=catalog(), run=Path(run), trials=trials, sampler=sampler, seed=sampler_seed, prune=prune,
        timeout=timeout, device=device, on_event=on_event, on_trial=on_trial, again="zoo.tune(…) with the same run",
    )  # fmt: skip


def evaluate(
    run: str | Path | Run,
    *,
    split: str = "test",
    data: str | None = None,
    device: str = "auto",
    tta: int = 0,
    arrangement: Arrangement | None = None,
) -> dict[str, Any]:
    """Return the figures of a run's best weights on one split of its data, or of other data.

    With `tta` the answers are means over each image and so many augmented views of it, and `plain` has the figures without; with an `arrangement` pixels change
    places in the test alone.
    """
    from zoo.evaluation import evaluate as evaluation
    from zoo.training.run import Run, find_run

    found = run if isinstance(run, Run) else find_run(run)
    return evaluation.evaluate(
        found, catalog=catalog(), split=split, data=data, device=device, tta=tta, arrangement=arrangement
    )


def evaluate_corruptions(
    run: str | Path | Run,
    *,
    split: str = "test",
    names: Sequence[str] | None = None,
    severities: Sequence[int] | None = None,
    limit: int | None = None,
    device: str = "auto",
) -> dict[str, Any]:
    """Return the figures of a run's best weights on one split as it is, and under each corruption at each severity.

    `names` and `severities` choose some of them, `limit` a fixed stratified subset of so many samples.
    """
    from zoo.evaluation import robustness
    from zoo.training.run import Run, find_run

    return robustness.evaluate_corruptions(
        run if isinstance(run, Run) else find_run(run),
        catalog=catalog(),
        split=split,
        device=device,
        names=names,
        severities=severities,
        limit=limit,
    )


def compare(
    question: Question | None = None,
    *,
    run: str | Path,
    device: str = "auto",
    registry: str | Path | None = None,
    on_event: Callable[[Progress], None] | None = None,
) -> dict[str, Any]:
    """Carry out a comparison in the folder `run`, or go on with the one there, and return its analysis.

    `zoo.Question(recipes=("lenet5-adamw", "row-lstm-adamw"), data="photos", seeds=6)` asks; report.html is written beside it. Raises
    RunError where the folder holds another comparison, or none and nothing is asked.
    """
    from zoo.comparison.compare import begin, conduct

    folder = Path(run)
    if question is not None:
        begin(question, folder, Registry.load(catalog(), None if registry is None else Path(registry)), device=device)
    return conduct(folder, catalog=catalog(), device=device, progress=on_event)


def simulate(
    recipe: str | None = None,
    *overrides: str,
    run: str | Path,
    data: str | None = None,
    seeds: int = 6,
    primary: Sequence[tuple[str, str]] = (),
    device: str = "auto",
    registry: str | Path | None = None,
    on_event: Callable[[Any], None] | None = None,
) -> dict[str, Any]:
    """Simulate active learning in the folder `run`, or go on with the simulations there, and return their analysis.

    Overrides are strings like `active.strategies=[margin, badge]` or `active.rounds=50`; `primary` are pairs of strategies that are
    declared beforehand. `report.html` is written beside them. Raises RunError where the folder holds other simulations, or none and
    no recipe is named.
    """
    from zoo.active.plan import Question
    from zoo.active.proposal import begin
    from zoo.active.simulate import conduct

    folder = Path(run)
    if recipe is not None:
        question = Question(recipe=recipe, settings=overrides, data=data, seeds=seeds, primary=tuple(primary))
        begin(question, folder, Registry.load(catalog(), None if registry is None else Path(registry)), device=device)
    return conduct(folder, catalog=catalog(), device=device, progress=on_event)


def _resolved(
    recipe: str | Recipe,
    overrides: tuple[str, ...],
    data: str | None,
    seed: int | None,
    registry: str | Path | None,
    ranges: Sequence[str] = (),
) -> Recipe:
    if isinstance(recipe, str):
        extra = () if seed is None else (f"training.seed={seed}",)
        loaded = Registry.load(catalog(), None if registry is None else Path(registry))
        return loaded.resolve(recipe, (*overrides, *extra), data=data, ranges=ranges)
    if overrides or data is not None or seed is not None or registry is not None or ranges:
        raise ZooError(
            "a Recipe is resolved already and takes no settings, ranges, data, seed or registry",
            hint="zoo.resolve(NAME, …)",
        )
    return recipe


def _drive(session: Any, on_event: Callable[[Event], None] | None) -> Run:
    for event in session.events():
        if on_event is not None:
            on_event(event)
    run: Run = session.run
    return run
