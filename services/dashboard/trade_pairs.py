"""Pairs reported trades with those made from fills, so that differences can be shown one by one."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from services.dashboard.snapshot import Fields
from shared.analytics.reported_trades import MIN_SHARE, SAME_CLOSE_MS, TOLERANCE

SAME_CLOSE = timedelta(milliseconds=SAME_CLOSE_MS)
_DIRECTIONS = {"buy": "long", "sell": "short"}


def pair_trades(reported: Iterable[Fields], folded: Iterable[Fields]) -> None:
    """Give each reported trade the trade made from fills that closed within a minute, as `folded`.

    Of several, the one with the nearest P&L; each is used once. `folded` is None where there is none, and
    `agrees` says whether the two results are the same, as `tradeDifferences` counts them.
    """
    left = list(folded)
    for trade in reported:
        near = [one for one in left if _is_same(trade, one)]
        best = min(near, key=lambda one: abs(_pnl(one) - _pnl(trade)), default=None)
        trade["folded"] = None
        if best is not None:
            left.remove(best)
            trade["folded"] = {
                "number": best["number"],
                "pnl": best["pnl"],
                "agrees": best["pnl"] is not None and _agree(trade, best),
            }


def _is_same(reported: Fields, folded: Fields) -> bool:
    if (reported["symbol"], reported["side"]) != (folded["symbol"], _DIRECTIONS.get(str(folded["side"]))):
        return False
    return abs(_moment(reported) - _moment(folded)) <= SAME_CLOSE


def _agree(reported: Fields, folded: Fields) -> bool:
    one, other = _pnl(reported), _pnl(folded)
    # Of an inverse contract the price is in the divisor.
    price, size = (
        _number(reported["entryPrice"]),
        _number(reported["quantity"]) * _number(reported["multiplier"]),
    )
    notional = (size / price if price else 0.0) if folded["contractType"] == "inverse" else size * price
    return abs(one - other) <= max(MIN_SHARE * abs(notional), TOLERANCE * max(abs(one), abs(other)))


def _pnl(trade: Fields) -> float:
    return _number(trade["pnl"])


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _moment(trade: Fields) -> datetime:
    found = trade["closedAt"]
    assert isinstance(found, datetime)  # noqa: S101 - for mypy
    return found
