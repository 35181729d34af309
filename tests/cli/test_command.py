from __future__ import annotations

import pytest

from zoo.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["train", "conv-net-momentum", "seed=3"], "--seed 3"),
        (["train", "conv-net-momentum", "device=cpu"], "--device cpu"),
        (["train", "conv-net-momentum", "run=here"], "--run here"),
        (["lr-find", "conv-net-momentum", "steps=20"], "--steps 20"),
        (["show", "conv-net-momentum", "seed=3"], "training.seed=3"),
    ],
)
def test_an_option_written_as_a_setting_is_refused_with_how_to_write_it(
    arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.endswith(f"  try: {hint}\n")
