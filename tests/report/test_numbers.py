from __future__ import annotations

import pytest

from zoo.report.numbers import between, compact, decimal, minutes, p_value, percent, points, span


def test_shares_are_in_per_cent_and_differences_in_points_with_a_sign() -> None:
    assert percent(0.92345) == "92.34"
    assert percent(1.0, 1) == "100.0"
    assert points(0.0123) == "+1.23"
    assert points(-0.0123) == "−1.23"
    assert points(-0.00001) == points(0.0) == "0.00"
    assert between({"low": 0.9, "high": 0.951}) == "90.00 to 95.10"
    assert span({"low": -0.01, "high": 0.02}) == "−1.00 to +2.00"


def test_what_is_missing_is_a_dash() -> None:
    assert {percent(None), points(None), decimal(None), compact(None), p_value(None)} == {"–"}


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00 k"),
        (61706, "61.7 k"),
        (999_999, "1.00 M"),
        (2_236_416, "2.24 M"),
        (4.089e9, "4.09 G"),
    ],
)
def test_counts_have_three_digits_and_a_letter(count: float, text: str) -> None:
    assert compact(count) == text


def test_a_small_p_is_not_said_to_be_nothing() -> None:
    assert p_value(0.0286) == "0.029"
    assert p_value(1e-9) == "< 0.0001"


def test_times_are_in_the_unit_that_reads_best() -> None:
    assert [minutes(each) for each in (0.01, 0.5, 12.34, 150)] == ["0.6 s", "30 s", "12.3 min", "2.5 h"]
