"""Pairs reported trades with those made from fills, so that differences can be shown one by one."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from services.dashboard.snapshot import Fields
from shared.analytics.reported_trades import SAME_CLOSE_MS, ClosedTrade, agree, nearest
from shared.schema.timestamps import epoch_ms

SAME_CLOSE = timedelta(milliseconds=SAME_CLOSE_MS)


def pair_trades(reported: Iterable[Fields], folded: Iterable[Fields]) -> None:
    """Give each reported trade the trade made from fills that closed within a minute, as `folded`.

    Of several, the one with the nearest P&L; each is used once. `folded` is None where there is none, and
    `agrees` says whether the two results are the same, as `tradeDifferences` counts them.
    """
    left = [(_closed(trade, trade), trade) for trade in folded]
    for trade in reported:
        near = nearest(_closed(trade, trade), (candidate for candidate, _ in left))
        trade["folded"] = None
        if near is not None:
            place = next(place for place, (candidate, _) in enumerate(left) if candidate is near)
            _, found = left.pop(place)
            is_known = found["pnl"] is not None
            trade["folded"] = {
                "number": found["number"],
                "pnl": found["pnl"],
                "agrees": is_known and agree(_closed(trade, found), near),
            }


def _closed(trade: Fields, of_contract: Fields) -> ClosedTrade:
    """Return what is compared of a trade; the fills know the type of its contract."""
    closed_at = trade["closedAt"]
    assert isinstance(closed_at, datetime)  # noqa: S101 - for mypy
    # Of an inverse contract the price is in the divisor.
    price, size = _number(trade["entryPrice"]), _number(trade["quantity"]) * _number(trade["multiplier"])
    is_inverse = of_contract["contractType"] == "inverse"
    notional = (size / price if price else 0.0) if is_inverse else size * price
    is_long = trade["side"] in ("long", "buy")
    return ClosedTrade(epoch_ms(closed_at), str(trade["symbol"]), is_long, _number(trade["pnl"]), notional)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
