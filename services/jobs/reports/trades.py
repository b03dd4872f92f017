"""What the closed trades of a period say. Pure."""

import calendar
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.jobs.reports.figures import figure
from shared.schema.report_rows import TradeHour
from shared.schema.reports import (
    Figure,
    TradeBreakdown,
    TradeGroup,
)
from shared.schema.units import MONEY, PERCENT, PLAIN

MAX_SYMBOLS = 20
"""Symbols with a row of their own: half the best, half the worst."""
OTHERS = "others"


class BotTrades(NamedTuple):
    """A bot's trades of the period, and of the period before."""

    current: Sequence[TradeHour] = ()
    previous: Sequence[TradeHour] = ()


def trade_figures(trades: TradeBreakdown) -> list[Figure]:
    """Return the statistics of the trades of the period."""
    now, before = trades.total, trades.previous
    unknown = f"{now.undefined} trades have no known P&L." if now.undefined else ""
    none = "" if now.trades else "No trade closed in the period."
    no_loss = none or ("" if now.losses else "No losing trade to divide by.")
    return [
        figure("trades", now.trades, before.trades, unit=PLAIN),
        figure("tradePnL", now.pnl, before.pnl, unit=MONEY, note=unknown),
        figure("winRate", win_rate(now), win_rate(before), unit=PERCENT, note=none),
        figure("profitFactor", profit_factor(now), profit_factor(before), unit=PLAIN, note=no_loss),
        figure("expectancy", _expectancy(now), _expectancy(before), unit=MONEY, note=none),
        figure("averageWin", _average_win(now), _average_win(before), unit=MONEY),
        figure("averageLoss", _average_loss(now), _average_loss(before), unit=MONEY),
        figure("payoffRatio", _payoff(now), _payoff(before), unit=PLAIN, note=no_loss),
    ]


def cost_figures(trades: Iterable[BotTrades]) -> list[Figure]:
    """Return what the trades of the period cost."""
    bots = list(trades)
    now = [trade for bot in bots for trade in bot.current]
    before = [trade for bot in bots for trade in bot.previous]
    return [
        figure(
            name,
            math.fsum(getattr(trade, name) for trade in now),
            math.fsum(getattr(trade, name) for trade in before),
            unit=MONEY,
        )
        for name in ("fees", "funding")
    ]


def win_rate(trades: TradeGroup) -> float | None:
    """Return the share of trades with a profit, percent; as `TradeStatistics.win_rate`."""
    return trades.wins / trades.trades * 100 if trades.trades else None


def profit_factor(trades: TradeGroup) -> float | None:
    """Return gains over losses in money; None without a loss."""
    return trades.gains / trades.lost if trades.lost else None


def _expectancy(trades: TradeGroup) -> float | None:
    return trades.pnl / trades.trades if trades.trades else None


def _average_win(trades: TradeGroup) -> float | None:
    return trades.gains / trades.wins if trades.wins else None


def _average_loss(trades: TradeGroup) -> float | None:
    return -trades.lost / trades.losses if trades.losses else None


def _payoff(trades: TradeGroup) -> float | None:
    win, loss = _average_win(trades), _average_loss(trades)
    return win / -loss if win is not None and loss else None


def trade_breakdown(bots: Sequence[BotTrades], zone: ZoneInfo) -> TradeBreakdown:
    """Return the trades of the period by symbol, local weekday and local hour."""
    hours = [trade for bot in bots for trade in bot.current]
    local: dict[datetime, datetime] = {}
    for trade in hours:
        if trade.hour not in local:
            local[trade.hour] = trade.hour.astimezone(zone)
    weekdays = _group(hours, lambda trade: calendar.day_abbr[local[trade.hour].weekday()])
    by_hour = _group(hours, lambda trade: f"{local[trade.hour].hour:02}")
    return TradeBreakdown(
        total=trade_group("all", hours),
        previous=trade_group("all", [trade for bot in bots for trade in bot.previous]),
        by_symbol=_best_and_worst(_group(hours, lambda trade: trade.symbol)),
        by_weekday=[trade_group(day, weekdays[day]) for day in calendar.day_abbr if day in weekdays],
        by_hour=[trade_group(hour, by_hour[hour]) for hour in sorted(by_hour)],
    )


def _group(trades: Iterable[TradeHour], key: Callable[[TradeHour], str]) -> dict[str, list[TradeHour]]:
    found: dict[str, list[TradeHour]] = {}
    for trade in trades:
        found.setdefault(key(trade), []).append(trade)
    return found


def _best_and_worst(symbols: Mapping[str, list[TradeHour]]) -> list[TradeGroup]:
    groups = [trade_group(symbol, trades) for symbol, trades in symbols.items()]
    groups.sort(key=lambda group: (-group.pnl, group.key))
    if len(groups) <= MAX_SYMBOLS:
        return groups
    half = MAX_SYMBOLS // 2
    left = {group.key for group in groups[half:-half]}
    rest = [trade for symbol, trades in symbols.items() if symbol in left for trade in trades]
    return [*groups[:half], *groups[-half:], trade_group(f"{len(left)} {OTHERS}", rest)]


def trade_group(key: str, trades: Sequence[TradeHour]) -> TradeGroup:
    """Return the sums of trades."""
    return TradeGroup(
        key=key,
        trades=sum(trade.number for trade in trades),
        wins=sum(trade.wins for trade in trades),
        losses=sum(trade.losses for trade in trades),
        pnl=math.fsum(trade.pnl for trade in trades),
        gains=math.fsum(trade.gains for trade in trades),
        lost=math.fsum(trade.lost for trade in trades),
        undefined=sum(trade.undefined for trade in trades),
    )
