"""What a study keeps for people: tables, pictures, and the registry file of its best trial."""

from __future__ import annotations

import shlex
from dataclasses import asdict

from zoo import storage
from zoo.comparison.study import Study
from zoo.comparison.trials import Tuning, as_csv, best_trial, expected_of
from zoo.comparison.tuning_plot import history, importance
from zoo.registry import recipe_document

BEST, TABLE = "best.yaml", "trials.json"


def written(study: Study) -> Tuning:
    """Return the study as it stands, and write its tables, pictures and best recipe into its folder."""
    with study.lock:  # so that what another process writes does not go back in time
        tuning = _tuning(study)
        if tuning.best is not None:
            storage.write_text(study.folder / BEST, recipe_document(study.recipe_of(tuning.best.parameters)))
        storage.write_text(study.folder / "trials.csv", as_csv(tuning))
        storage.write_json(study.folder / TABLE, asdict(tuning))
        storage.write_text(study.folder / "history.svg", history(tuning))
        storage.write_text(study.folder / "importance.svg", importance(tuning))
    return tuning


def _tuning(study: Study) -> Tuning:
    trials = study.trials()
    best = best_trial(trials, study.metric)
    registry = None if best is None else str(study.folder / BEST)
    return Tuning(
        recipe=study.recipe.name,
        run=str(study.folder),
        metric=study.metric,
        sampler=study.sampler,
        seed=study.seed,
        trials=trials,
        best=best,
        importances=study.importances(),
        expected=expected_of(trials, study.metric),
        registry=registry,
        command=None if registry is None else shlex.join(["zoo", "--registry", registry, "train", study.recipe.name]),
    )
