"""Figures as people say them."""

import pytest

from services.collector.wording import size, span


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-1, "0 s"), (5.4, "5 s"), (90, "1.5 min"), (3600, "1 h"), (12_600, "3.5 h"), (86_400 * 12, "12 d")],
)
def test_spans_have_one_unit(seconds: float, expected: str) -> None:
    assert span(seconds) == expected


@pytest.mark.parametrize(
    ("amount", "expected"),
    [(0, "0 B"), (1536, "1.5 KiB"), (70 * 2**20, "70 MiB"), (2**50 + 2**49, "1536 TiB")],
)
def test_sizes_have_one_unit(amount: int, expected: str) -> None:
    assert size(amount) == expected
