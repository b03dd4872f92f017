"""Figures as people say them."""

import pytest

from services.collector.checks.byte_size import format_bytes


@pytest.mark.parametrize(
    ("amount", "expected"),
    [(0, "0 B"), (1536, "1.5 KiB"), (70 * 2**20, "70 MiB"), (2**50 + 2**49, "1536 TiB")],
)
def test_sizes_have_one_unit(amount: int, expected: str) -> None:
    assert format_bytes(amount) == expected
