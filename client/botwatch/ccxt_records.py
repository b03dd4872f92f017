"""Records from what ccxt returns: orders, trades, positions, balances. Pure; ccxt is not needed.

Source: ccxt manual, "Order structure", "Trade structure", "Position structure", "Balance structure".
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from botwatch.records import Record, record

Structure = Mapping[str, Any]
_STATUSES = {
    "open": "acknowledged",
    "closed": "filled",
    "canceled": "cancelled",
    "cancelled": "cancelled",
    "expired": "expired",
    "rejected": "rejected",
}


def order_record(bot: str, order: Structure, *, decision_price: float | None = None) -> Record:
    """Return the `order` record of an order as `create_order` or `fetch_order` returns it.

    ValueError without an id, symbol, side or amount.
    """
    status = _STATUSES.get(order.get("status") or "open", "acknowledged")
    if status == "acknowledged" and order.get("filled"):
        status = "partially_filled"
    return record(
        "order", bot, timestamp=_time(order.get("lastUpdateTimestamp") or order.get("timestamp")),
        orderId=str(_required(order, "id")), symbol=_required(order, "symbol"), side=_required(order, "side"),
        quantity=_required(order, "amount"), type=order.get("type") or "market", status=status,
        limitPrice=order.get("price") if order.get("type") == "limit" else None,
        decisionPrice=decision_price,
    )  # fmt: skip


def fill_record(bot: str, trade: Structure) -> Record:
    """Return the `fill` record of a trade as `fetch_my_trades` returns it; its id makes it count once.

    Where the cost shows it, the amount is in contracts and the multiplier is set. ValueError without an id,
    symbol, side, amount or price.
    """
    fee = trade.get("fee") or {}
    amount, price = float(_required(trade, "amount")), float(_required(trade, "price"))
    found = record(
        "fill", bot, timestamp=_time(trade.get("timestamp")),
        orderId=str(trade.get("order") or _required(trade, "id")), fillId=str(_required(trade, "id")),
        symbol=_required(trade, "symbol"), side=_required(trade, "side"), quantity=amount, price=price,
        fee=fee.get("cost"), feeCurrency=fee.get("currency") if fee.get("cost") is not None else None,
        liquidity=trade.get("takerOrMaker"), multiplier=_multiplier(trade.get("cost"), amount, price),
    )  # fmt: skip
    found["id"] = f"ccxt-{trade['symbol']}-{trade['id']}"[:128]
    return found


def fill_records(bot: str, trades: Iterable[Structure]) -> list[Record]:
    """Return the `fill` records of trades."""
    return [fill_record(bot, trade) for trade in trades]


def position_record(bot: str, position: Structure) -> Record:
    """Return the `position` record of a position as `fetch_positions` returns it."""
    return record(
        "position", bot, timestamp=_time(position.get("timestamp")),
        symbol=_required(position, "symbol"), quantity=abs(position.get("contracts") or 0.0),
        side=position.get("side"), entryPrice=position.get("entryPrice"),
        markPrice=position.get("markPrice"), liquidationPrice=position.get("liquidationPrice"),
        margin=position.get("initialMargin"), unrealizedPnL=position.get("unrealizedPnl"),
        multiplier=position.get("contractSize"),
    )  # fmt: skip


def equity_record(bot: str, balance: Structure, currency: str) -> Record:
    """Return the `equity` record of a balance as `fetch_balance` returns it, of one currency.

    Of a margin account this is its equity; of a spot account only the cash: add what the coins are worth.
    ValueError if the balance does not have the currency.
    """
    total = _required(balance, "total").get(currency)
    if total is None:
        raise ValueError(
            f"total: expected an amount of {currency}, got {', '.join(balance['total']) or 'none'}"
        )
    free = (balance.get("free") or {}).get(currency)
    return record(
        "equity", bot, timestamp=_time(balance.get("timestamp")), equity=total, cash=free, currency=currency
    )


def _multiplier(cost: float | None, amount: float, price: float) -> float | None:
    """Return the size of a contract; None where the amount is in units of the base currency."""
    if not cost or not amount or not price:
        return None
    size = cost / (amount * price)
    return None if abs(size - 1) < 1e-6 else size  # noqa: PLR2004 - rounding of the cost


def _required(structure: Structure, name: str) -> Any:  # noqa: ANN401 - any type of JSON
    value = structure.get(name)
    if value is None:
        raise ValueError(f"{name}: required, but missing")
    return value


def _time(milliseconds: float | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
