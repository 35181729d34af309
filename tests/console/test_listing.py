from __future__ import annotations

import io

from rich.console import Console

from zoo.console.listing import Row, listing

ROWS = [
    Row(
        "architecture",
        "conv-net",
        "cnn",
        "One convolution, pool, dense layer, dropout",
        "architectures",
        "zoo-vision",
        "0.1.0",
    ),
    Row("architecture", "acme/" + "long-" * 9 + "name", "rnn", "word " * 15, "acme", "acme", "1"),
    Row("optimizer", "sgd", None, "Stochastic gradient descent", "optimizers", "zoo-vision", "0.1.0"),
]


def lines(width: int) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width).print(listing(ROWS))
    return stream.getvalue().splitlines()


def test_rows_stand_under_the_title_of_their_kind() -> None:
    text = lines(140)
    assert text[0].strip() == "Architectures (2)"
    assert text[1].split()[:2] == ["conv-net", "cnn"]
    assert "Optimizers (1)" in [line.strip() for line in text]


def test_long_names_and_summaries_fit_80_columns_and_lose_nothing() -> None:
    text = lines(80)
    assert max(map(len, text)) <= 80
    assert "".join(" ".join(text).split()).count("word") == 15
