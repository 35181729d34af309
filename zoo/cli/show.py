"""`zoo show`."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli.command import Command
from zoo.cli.completion import complete_kind, complete_name
from zoo.cli.listing import canonical_kind
from zoo.cli.workspace import Workspace
from zoo.components import (
    AcquisitionSpec,
    ArchitectureSpec,
    Component,
    OptimizerSpec,
    Params,
    RegularizerSpec,
)
from zoo.console.component import ArchitectureCard, ComponentCard, LayerRow, architecture_card, component_card
from zoo.console.output import print_json, print_result, working
from zoo.console.parameters import describe
from zoo.errors import ComponentError, UnknownNameError, ZooError
from zoo.guard import stdout_on_stderr
from zoo.plugins import Entry
from zoo.recipe import Recipe
from zoo.registry import resolve_component


def _shape(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int, int] | None:
    """Return an input shape as one types it: `3x224x224`."""
    if value is None:
        return None
    parts = value.lower().replace("×", "x").split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{value!r} is not CHANNELSxHEIGHTxWIDTH, like 3x224x224", ctx, param)
    channels, height, width = (int(part) for part in parts)
    return channels, height, width


@click.command("show", cls=Command)
@click.argument("name", shell_complete=complete_name)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--kind", help="Which one is meant, where a recipe and a component share the name.", shell_complete=complete_kind
)
@click.option(
    "--input",
    "shape",
    callback=_shape,
    metavar="CxHxW",
    help="Input of an architecture; its preferred size, else 3x64x64.",
)
@click.option(
    "--classes", type=click.IntRange(1), default=10, show_default=True, help="Number of classes of an architecture."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.pass_obj
def show(
    workspace: Workspace,
    name: str,
    overrides: tuple[str, ...],
    kind: str | None,
    shape: tuple[int, int, int] | None,
    classes: int,
    as_json: bool,
) -> None:
    """Show one recipe or component in full.

    A recipe is shown resolved, with who set each value; KEY=VALUE changes it as in `zoo train`. An architecture is built
    and shown with its layers, parameters, multiply-accumulates and embedding size; KEY=VALUE sets one of its parameters.
    """
    found = _find(workspace, name, None if kind is None else canonical_kind(kind))
    if found == "recipe":
        with stdout_on_stderr():
            recipe = workspace.registry.resolve(name, overrides)
        _show_recipe(recipe, as_json)
        return
    entry = workspace.catalog.find(found, name)
    if isinstance(entry.spec, ArchitectureSpec):
        component = resolve_component(workspace.catalog, entry.kind, entry.name, overrides)
        with stdout_on_stderr(), working("building the model …"):
            built = architecture(entry, component, shape, classes)
        print_json(built) if as_json else print_result(architecture_card(built))
    elif overrides:
        raise ZooError(
            f"{entry.kind} {name!r} takes no {overrides[0]!r}", possible="KEY=VALUE changes a recipe or an architecture"
        )
    else:
        card = ComponentCard(**_card(entry))
        print_json(card) if as_json else print_result(component_card(card))


def architecture(
    entry: Entry, component: Component[Any], shape: tuple[int, int, int] | None, classes: int
) -> ArchitectureCard:
    """Return an architecture, built and looked at layer by layer.

    Raises ComponentError where the input is below the architecture's minimum, or its factory fails.
    """
    from zoo.evaluation.cost import count_macs, layers

    assert isinstance(component.spec, ArchitectureSpec)
    facts = component.spec.facts(component.params)
    channels, height, width = shape or _default_shape(facts.preferred_size, facts.min_size)
    if min(height, width) < facts.min_size:
        raise ComponentError(
            f"{entry.name} needs images of at least {facts.min_size} pixels a side, got {height}×{width} instead",
            hint=f"--input {channels}x{facts.min_size}x{facts.min_size}",
        )

    def build() -> Any:
        return component.build(num_outputs=classes, in_channels=channels, image_size=(height, width))

    model = build()
    return ArchitectureCard(
        **_card(entry),
        family=facts.family,
        input=(channels, height, width),
        classes=classes,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        macs=count_macs(build, (channels, height, width)),
        embedding_size=model.embedding_size if facts.embeddings else None,
        layers=[
            LayerRow(
                name=layer.name,
                kind=layer.kind,
                output_shape=tuple(layer.output_shape),
                parameters=layer.parameters,
                macs=layer.macs,
            )
            for layer in layers(model, (channels, height, width))
        ],
    )


def _default_shape(preferred: int | None, minimum: int) -> tuple[int, int, int]:
    side = preferred or max(64, minimum)
    return 3, side, side


def _find(workspace: Workspace, name: str, kind: str | None) -> Any:
    """Return the kind of what `name` names, a recipe or a component; raises UnknownNameError, or PluginError."""
    if kind is not None:
        return kind
    entries = workspace.catalog.entries()
    kinds = [entry.kind for entry in entries if name in (entry.name, *_aliases(entry))]
    found = [*kinds, *(["recipe"] if name in workspace.registry.names() else [])]
    if len(found) > 1:
        raise ZooError(
            f"{name!r} is the name of {' and '.join(found)}",
            possible="--kind KIND",
            hint=f"zoo show {name} --kind {found[0]}",
        )
    if found:
        return found[0]
    if "/" in name:
        workspace.catalog.find("architecture", name)  # says why where the plugin of this namespace did not load
    known = [*workspace.registry.names(), *(entry.name for entry in entries)]
    raise UnknownNameError("recipe or component", name, known, hint="zoo list")


def _aliases(entry: Entry) -> list[str]:
    namespace, slash, _ = entry.name.rpartition("/")
    return [f"{namespace}{slash}{alias}" for alias in entry.spec.aliases]


def _card(entry: Entry) -> dict[str, Any]:
    spec = entry.spec
    return {
        "kind": entry.kind,
        "name": entry.name,
        "summary": spec.summary,
        "plugin": entry.plugin.name,
        "distribution": entry.plugin.distribution,
        "version": entry.plugin.version,
        "aliases": spec.aliases,
        "deprecated": spec.deprecated,
        "requires": spec.requires,
        "documentation": _documentation(spec.params),
        "facts": _facts(entry),
        "settings": describe(spec.params),
    }


def _facts(entry: Entry) -> dict[str, str]:
    """Return what the spec of this kind promises, in words."""
    match entry.spec:
        case OptimizerSpec(weight_decay=form, passes=passes):
            return {"weight decay": form or "depends on the settings", "passes": f"{passes} per step"}
        case RegularizerSpec(strength=strength):
            return {"strength": f"{strength} (0 changes nothing)"}
        case AcquisitionSpec(needs=needs):
            named = "depends on the settings" if needs is None else ", ".join(sorted(needs))
            return {"needs": named or "nothing of the model"}
        case ArchitectureSpec(family=family, scales=scales):
            facts = {"family": family or "depends on the settings", "scales": ", ".join(scales)}
            return {name: text for name, text in facts.items() if text}
    return {}


def _documentation(schema: type[Params]) -> str:
    from inspect import cleandoc

    return cleandoc(schema.__dict__.get("__doc__") or "")


def _show_recipe(recipe: Recipe, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "kind": "recipe",
                "name": recipe.name,
                **recipe.to_dict(),
                "origins": recipe.origins,
                "notes": recipe.notes,
            }
        )
        return
    from zoo.console.recipe import recipe_card

    print_result(recipe_card(recipe))
