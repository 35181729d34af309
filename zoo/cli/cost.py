"""`zoo cost`."""

from __future__ import annotations

import click

from zoo.cli.command import Command
from zoo.cli.completion import complete_recipe
from zoo.cli.train import device_option
from zoo.cli.workspace import Workspace
from zoo.console.output import print_json, print_result, working
from zoo.errors import ZooError
from zoo.guard import stdout_on_stderr
from zoo.recipe import Recipe


@click.command("cost", cls=Command)
@click.argument("words", nargs=-1, metavar="RECIPE... [KEY=VALUE]...", shell_complete=complete_recipe)
@click.option("--data", metavar="PATH|SOURCE", help="Use this data instead of each recipe's.")
@device_option
@click.option("--threads", type=int, default=1, show_default=True, metavar="N", help="CPU threads of torch.")
@click.option(
    "--seconds", type=float, default=2.0, show_default=True, help="Time of each sort of call of each recipe, at least."
)
@click.option("--count-only", is_flag=True, help="Parameters, MACs and activations, without measuring.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.pass_obj
def cost(
    workspace: Workspace,
    words: tuple[str, ...],
    data: str | None,
    device: str,
    threads: int,
    seconds: float,
    count_only: bool,
    as_json: bool,
) -> None:
    """Say what recipes cost: parameters, multiply-accumulates and activations, counted; latency, throughput, memory and
    processor time of training and inference, measured on random weights.

    KEY=VALUE changes one setting of all of them. Several recipes are measured in turn, so that a change of the machine's load
    meets all alike; processor time depends on it least.
    """
    with stdout_on_stderr():  # what recognises data may be a plugin's
        recipes = _recipes(workspace, words, data)
        with working("counting …" if count_only else "measuring …"):
            from zoo.evaluation.cost import count
            from zoo.evaluation.speed import measure_all

            rows = (
                [count(recipe) for recipe in recipes]
                if count_only
                else measure_all(recipes, device=device, threads=threads, seconds=seconds)
            )
    if as_json:
        print_json(rows)
        return
    from zoo.console.cost import cost_card

    print_result(cost_card(rows))


def _recipes(workspace: Workspace, words: tuple[str, ...], data: str | None) -> list[Recipe]:
    overrides = tuple(word for word in words if "=" in word)
    names = [word for word in words if "=" not in word]
    if not names:
        raise ZooError("zoo cost needs the name of a recipe", possible="zoo list recipe", hint="zoo cost RECIPE")
    return [workspace.registry.resolve(name, overrides, data=data) for name in dict.fromkeys(names)]
