from __future__ import annotations

import io

from rich.console import Console, RenderableType

from zoo.console.component import ArchitectureCard, ComponentCard, LayerRow, architecture_card, component_card
from zoo.console.parameters import Parameter


def rendered(renderable: RenderableType) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=80, markup=False).print(renderable)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_a_component_page_has_provenance_documentation_and_parameters() -> None:
    card = ComponentCard(
        kind="optimizer",
        name="acme/step",
        summary="Steps.",
        plugin="acme",
        distribution="acme-zoo",
        version="2.1",
        aliases=("s",),
        deprecated="use sgd",
        requires=("scipy",),
        documentation="As in [1].",
        facts={"weight decay": "coupled"},
        settings=[Parameter("lr", "number > 0", 0.1, "rate")],
    )
    lines = rendered(component_card(card))
    assert lines[:2] == ["acme/step  optimizer", "Steps."]
    for line in ("plugin acme, acme-zoo 2.1", "also called s", "needs scipy", "deprecated: use sgd", "As in [1]."):
        assert line in lines
    assert ["lr", "0.1", "number", ">", "0", "rate"] in [line.split() for line in lines]


def test_an_architecture_page_has_layers_and_totals() -> None:
    card = ArchitectureCard(
        kind="architecture",
        name="net",
        summary="A net.",
        plugin="architectures",
        distribution="zoo-vision",
        version="0.1.0",
        family="cnn",
        input=(3, 32, 32),
        classes=10,
        parameters=1_234,
        macs=56_789,
        embedding_size=64,
        layers=[LayerRow(name="conv", kind="Conv2d", output_shape=(8, 32, 32), parameters=1_224, macs=0)],
    )
    lines = [line.split() for line in rendered(architecture_card(card))]
    assert ["conv", "Conv2d", "8×32×32", "1,224", "–"] in lines
    assert ["parameters", "1,234"] in lines
    assert ["MACs", "56,789", "for", "one", "image", "of", "3×32×32"] in lines
    assert ["embedding", "64", "numbers"] in lines
