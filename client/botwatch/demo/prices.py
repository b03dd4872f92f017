"""Prices: the hourly EURUSD bars of 2017 and 2018 that the package `backtesting` ships as a CSV file.

Only the file is read; nothing of that package is imported.
"""

import csv
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, distribution
from typing import NamedTuple

DISTRIBUTION = "backtesting"
FILE = "backtesting/test/EURUSD.csv"
SYMBOL = "EURUSD"


class Bar(NamedTuple):
    """One hour: when it began (UTC), and its prices."""

    time: datetime
    open: float
    high: float
    low: float
    close: float


def load_bars() -> list[Bar]:
    """Read all bars, oldest first; FileNotFoundError says what to install."""
    try:
        path = str(distribution(DISTRIBUTION).locate_file(FILE))
    except PackageNotFoundError as error:
        raise FileNotFoundError(
            f"the demo's prices come with the package {DISTRIBUTION}, which is not installed"
        ) from error
    with open(path, newline="", encoding="utf-8") as file:  # noqa: PTH123 - locate_file promises no Path
        return [_bar(row) for row in csv.DictReader(file)]


def _bar(row: dict[str, str]) -> Bar:
    time = datetime.fromisoformat(row[""]).replace(tzinfo=UTC)
    return Bar(time, float(row["Open"]), float(row["High"]), float(row["Low"]), float(row["Close"]))
