"""Records from data frames: of a backtest's trades, of its equity."""

import pytest

from botwatch.frames import records_from_frame
from botwatch.validation import validate_records

pytestmark = pytest.mark.slow  # imports pandas
pandas = pytest.importorskip("pandas", reason="pandas comes with the demo's packages")


def test_an_equity_curve_by_its_index() -> None:
    """Missing values are left out; times without a zone are UTC; the same frame gives the same ids."""
    frame = pandas.DataFrame(
        {"equity": [1000.0, 1001.5], "cash": [float("nan"), 3], "signal": ["a", "b"]},
        index=pandas.to_datetime(["2026-01-31 12:00", "2026-01-31 13:00"]),
    )
    made = list(records_from_frame("b", frame, "equity", currency="USD"))
    validate_records(made)
    assert [(one["timestamp"], one["equity"], one.get("cash")) for one in made] == [
        ("2026-01-31T12:00:00.000Z", 1000.0, None),
        ("2026-01-31T13:00:00.000Z", 1001.5, 3.0),
    ]
    assert [one["id"] for one in records_from_frame("b", frame, "equity", currency="USD")] == [
        one["id"] for one in made
    ]


def test_trades_with_the_names_of_a_backtest() -> None:
    """Columns of freqtrade; a time of the row is when the trade closed."""
    frame = pandas.DataFrame(
        {
            "pair": ["ETH/USDT"], "amount": [2.0], "open_rate": [3000.0], "close_rate": [3100.0],
            "profit_abs": [199.0], "date": pandas.to_datetime(["2026-01-31T12:00:00Z"]), "side": ["long"],
        }
    )  # fmt: skip
    [made] = records_from_frame("b", frame, "trade")
    validate_records([made])
    assert (made["symbol"], made["quantity"], made["entryPrice"], made["exitPrice"], made["pnl"]) == (
        "ETH/USDT",
        2.0,
        3000.0,
        3100.0,
        199.0,
    )


def test_a_frame_without_times_or_of_an_unknown_kind_is_refused() -> None:
    frame = pandas.DataFrame({"equity": [1.0]})
    with pytest.raises(ValueError, match="row 0: expected a column timestamp or an index of times"):
        list(records_from_frame("b", frame, "equity"))
    with pytest.raises(ValueError, match="kind: expected one of"):
        list(records_from_frame("b", frame, "profit"))
