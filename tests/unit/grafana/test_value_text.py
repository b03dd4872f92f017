"""Values in the pictures of dashboards read as they do in Grafana."""

import pytest

from grafana.value_text import colour_of, value_text


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (9140.25, "locale", 2, "9,140.25"),
        (9140.0, "locale", None, "9,140"),
        (0.101, "percentunit", None, "10.1%"),
        (12.5, "suffix: bps", 2, "12.50 bps"),
        (0.0421, "s", None, "42.1 ms"),
        (90, "s", None, "1.5 min"),
        (5_130_136, "bytes", None, "4.89 MiB"),
        (2048, "Bps", None, "2 KiB/s"),
        (float("nan"), "none", None, "-"),
        (3, "cps", None, "3/s"),
    ],
)
def test_values_have_their_unit(value: float, unit: str, decimals: int | None, text: str) -> None:
    assert value_text(value, unit, decimals) == text


@pytest.mark.parametrize(("value", "colour"), [(0, "green"), (0.05, "yellow"), (0.2, "red")])
def test_the_last_step_that_is_reached_colours(value: float, colour: str) -> None:
    assert colour_of(value, [(None, "green"), (0.05, "yellow"), (0.1, "red")]) == colour
