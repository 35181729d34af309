from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from zoo.components import (
    DATA_SETTINGS,
    KINDS,
    SPECS,
    AcquisitionSpec,
    ArchitectureSpec,
    Component,
    DataSourceSpec,
    NoParams,
    OptimizerSpec,
    Params,
    Provenance,
    RegularizerSpec,
    Spec,
    import_object,
)
from zoo.errors import ComponentError
from zoo.facts import ArchitectureFacts

ACME = Provenance("acme", "acme-zoo", "2.1")


class Size(Params, frozen=True, kw_only=True):
    """A schema with one parameter."""

    size: Annotated[int, Meta(ge=1)] = 3


class Path(Params, frozen=True, kw_only=True):
    """A schema with a path."""

    path: str = "."


def architecture(**fields: Any) -> ArchitectureSpec:
    common: dict[str, Any] = {
        "name": "net",
        "factory": "a.b:c",
        "summary": "a net",
        "family": "cnn",
        "embeddings": False,
    }
    return ArchitectureSpec(**{**common, **fields})


def built(factory: str, params: Params | None = None, **fields: Any) -> Component[Any]:
    spec = OptimizerSpec(name="step", factory=factory, summary="steps", params=Size, **fields)
    return Component(spec, "acme/step", params or Size(), ACME)


def twice(params: Size, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
    return (params.size * 2, args, kwargs)


def fails(params: Size) -> None:
    raise ValueError(f"size {params.size} is odd")


def exits(params: Size) -> None:
    raise SystemExit(1)


def refuses(params: Size) -> None:
    raise ComponentError("step does not fit", hint="another")


def optimizer(**fields: Any) -> OptimizerSpec:
    return OptimizerSpec(name="down", factory="a:b", summary="goes down", **fields)


def form_of(params: Size) -> str:
    return "coupled" if params.size < 5 else "decoupled"


def needs_of(params: Size) -> set[str]:
    return set() if params.size < 5 else {"embeddings", "labeled"}


def facts_of(params: Size) -> ArchitectureFacts:
    return ArchitectureFacts(family="rnn", embeddings=True, min_size=params.size, preferred_size=28)


def no_facts(params: Size) -> dict[str, str]:
    return {"family": "rnn"}


def test_every_kind_has_its_record() -> None:
    assert KINDS == ("architecture", "optimizer", "regularizer", "acquisition", "data")
    assert tuple(SPECS) == KINDS
    assert all(issubclass(spec, Spec) and spec.kind == kind for kind, spec in SPECS.items())


@pytest.mark.parametrize(
    "name", ["ConvNet", "conv_net", "conv net", "-net", "net-", "a--b", "acme/net", "", "nét", "net\n"]
)
def test_a_name_that_is_not_kebab_case_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"architecture name must be kebab-case \(like 'conv-net'\), got"):
        architecture(name=name)
    with pytest.raises(ValueError, match="kebab-case"):
        architecture(aliases=(name,))


@pytest.mark.parametrize("name", ["net", "resnet18", "3d", "conv-net-2"])
def test_a_kebab_case_name_is_taken(name: str) -> None:
    assert architecture(name=name, aliases=(f"{name}-old",)).name == name


@pytest.mark.parametrize("factory", ["", "module", "module:", ":build", "a b:c", "a:b:c", "1a:b", "a:b()", "a-b:c"])
def test_a_factory_is_named_by_module_and_attribute(factory: str) -> None:
    with pytest.raises(ValueError, match=r"must be 'package\.module:attribute', got"):
        architecture(factory=factory)


def test_a_schema_must_be_one_and_have_defaults() -> None:
    class Needy(Params, frozen=True, kw_only=True):
        size: int

    class Foreign(msgspec.Struct):
        size: int = 1

    with pytest.raises(TypeError, match="params of 'net': every field needs a resolvable type and a default"):
        architecture(params=Needy)
    for wrong in (Foreign, Size(), dict):
        with pytest.raises(TypeError, match=r"params of 'net' must be a subclass of zoo\.Params, got"):
            architecture(params=wrong)
    assert architecture().params is NoParams


@pytest.mark.parametrize("summary", ["", "x" * 81])
def test_a_summary_fits_a_line(summary: str) -> None:
    with pytest.raises(ValueError, match="summary of 'net' must have 1 to 80 characters"):
        architecture(summary=summary)
    assert architecture(summary="x" * 80).summary == "x" * 80


def test_a_regularizer_names_a_strength_that_it_has() -> None:
    fields: dict[str, Any] = {"name": "decay", "factory": "a:b", "summary": "decays", "params": Size}
    assert RegularizerSpec(strength="size", **fields).strength == "size"
    with pytest.raises(ValueError, match="strength of 'decay' must name one of its parameters, got 'rate' instead"):
        RegularizerSpec(strength="rate", **fields)


def test_an_architecture_names_scales_that_it_has() -> None:
    assert architecture(params=Size, scales=("size",)).scales == ("size",)
    with pytest.raises(ValueError, match="scales of 'net' must name its parameters, got depth instead"):
        architecture(params=Size, scales=("size", "depth"))


def test_a_strategy_needs_only_what_the_pass_can_compute() -> None:
    with pytest.raises(ValueError, match=r"needs of 'best' must be among logits, .*, got \['labels'\]"):
        AcquisitionSpec(name="best", factory="a:b", summary="asks", needs=frozenset({"logits", "labels"}))  # type: ignore[arg-type]


def test_needs_come_from_the_spec_or_from_the_parameters() -> None:
    fields: dict[str, Any] = {"name": "best", "factory": "a:b", "summary": "asks", "params": Size}
    assert AcquisitionSpec(needs=frozenset({"logits"}), **fields).needs_of(Size()) == {"logits"}
    described = AcquisitionSpec(needs=None, describe=f"{__name__}:needs_of", **fields)
    assert [described.needs_of(Size(size=size)) for size in (1, 9)] == [set(), {"embeddings", "labeled"}]
    for open_fields in ({}, {"describe": f"{__name__}:form_of"}):
        with pytest.raises(ComponentError, match=r"needs of 'best' must be among logits, .*, got"):
            AcquisitionSpec(needs=None, **open_fields, **fields).needs_of(Size())


def test_a_source_takes_no_name_of_the_engines_settings_and_recognises_by_path() -> None:
    class Workers(Params, frozen=True, kw_only=True):
        workers: int = 1

    assert "workers" in DATA_SETTINGS
    with pytest.raises(ValueError, match="parameters of data source 'files' may not be called workers"):
        DataSourceSpec(name="files", factory="a:b", summary="files", params=Workers)
    with pytest.raises(ValueError, match="recognizes paths and so needs a parameter `path`"):
        DataSourceSpec(name="files", factory="a:b", summary="files", params=Size, recognizes="a:b")
    assert DataSourceSpec(name="files", factory="a:b", summary="files", params=Path, recognizes="a:b").kind == "data"


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        architecture().name = "other"


def test_facts_come_from_the_spec_or_from_the_parameters() -> None:
    fixed = architecture(min_size=2, preferred_size=32)
    assert fixed.facts(Size()) == ArchitectureFacts(family="cnn", embeddings=False, min_size=2, preferred_size=32)
    open_fields: dict[str, Any] = {"family": None, "embeddings": None, "min_size": None}
    described = architecture(**open_fields, describe=f"{__name__}:facts_of")
    assert described.facts(Size(size=9)) == facts_of(Size(size=9))
    with pytest.raises(ComponentError, match=r"no_facts must return zoo\.ArchitectureFacts, got {'family': 'rnn'}"):
        architecture(**open_fields, describe=f"{__name__}:no_facts").facts(Size())
    with pytest.raises(ComponentError, match="architecture 'net' leaves a field open without `describe`"):
        architecture(**open_fields).facts(Size())


def test_the_form_of_decay_comes_from_the_spec_or_from_the_parameters() -> None:
    assert optimizer(weight_decay="decoupled").decay_form(Size()) == "decoupled"
    described = optimizer(weight_decay=None, describe=f"{__name__}:form_of")
    assert [described.decay_form(Size(size=size)) for size in (1, 9)] == ["coupled", "decoupled"]
    with pytest.raises(
        ComponentError, match="decay of optimizer 'down' must be coupled or decoupled, got None instead"
    ):
        optimizer(weight_decay=None).decay_form(Size())


def test_a_component_hands_its_parameters_and_the_arguments_to_its_factory() -> None:
    assert built(f"{__name__}:twice", Size(size=4)).build(1, x=2) == (8, (1,), {"x": 2})
    assert import_object("collections:OrderedDict.fromkeys")("ab") == {"a": None, "b": None}


@pytest.mark.parametrize(
    ("factory", "problem"),
    [
        (f"{__name__}:fails", "ValueError: size 3 is odd"),
        (f"{__name__}:exits", "SystemExit: 1"),
        (f"{__name__}:absent", "AttributeError: "),
        ("a_module_that_nobody_has:build", "ModuleNotFoundError: No module named 'a_module_that_nobody_has'"),
    ],
)
def test_a_factory_that_fails_is_named_with_plugin_and_distribution(factory: str, problem: str) -> None:
    with pytest.raises(ComponentError) as caught:
        built(factory).build()
    assert caught.value.problem.startswith(f"optimizer 'acme/step' of plugin 'acme' (acme-zoo 2.1): {problem}")


def test_a_factorys_own_error_passes() -> None:
    with pytest.raises(ComponentError, match=r"^step does not fit\n  try: another$"):
        built(f"{__name__}:refuses").build()


def test_a_missing_distribution_is_named_with_the_way_to_install_it() -> None:
    component = built(f"{__name__}:twice", requires=("msgspec", "a-package-that-nobody-has"))
    with pytest.raises(
        ComponentError, match=r"needs the package 'a-package-that-nobody-has', which is not installed"
    ) as caught:
        component.build()
    assert caught.value.hint == "pip install a-package-that-nobody-has"


def test_components_are_equal_by_spec_name_and_parameters() -> None:
    first, same, other = built("a:b"), built("a:b"), built("a:b", Size(size=5))
    assert first == same and hash(first) == hash(same)
    assert first != other and first != "step"
    assert repr(first) == "<optimizer acme/step Size(size=3)>"
