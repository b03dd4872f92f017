"""What the closed trades of a period say. Pure."""

import calendar
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.jobs.reports.figures import figure
from shared.schema.report_rows import TradeHour, TradeSums
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
    """A bot's trades of the period, in three ways, and of the period before."""

    by_symbol: Sequence[TradeSums] = ()
    by_weekday: Sequence[TradeSums] = ()
    by_hour: Sequence[TradeSums] = ()
    previous: Sequence[TradeSums] = ()
    """By symbol."""

    def converted(self, rate: float) -> "BotTrades":
        """Return them with all amounts multiplied."""
        return self if rate == 1.0 else BotTrades(*([_convert(one, rate) for one in part] for part in self))


def _convert(one: TradeSums, rate: float) -> TradeSums:
    amounts = ("pnl", "gains", "lost", "fees", "funding")
    return one._replace(**{name: getattr(one, name) * rate for name in amounts})


def fold_trades(current: Iterable[TradeHour], previous: Iterable[TradeHour], zone: ZoneInfo) -> BotTrades:
    """Sum trades up while they are read: of a year there may be a row for each hour and symbol."""
    symbols: _Sums = {}
    weekdays: _Sums = {}
    hours: _Sums = {}
    before: _Sums = {}
    for row in current:
        local = row.hour.astimezone(zone)
        for sums, key in (
            (symbols, row.symbol),
            (weekdays, calendar.day_abbr[local.weekday()]),
            (hours, f"{local.hour:02}"),
        ):
            _add(sums, key, row)
    for row in previous:
        _add(before, row.symbol, row)
    return BotTrades(*map(_rows, (symbols, weekdays, hours, before)))


_Sums = dict[str, list[float]]


def _add(sums: _Sums, key: str, row: TradeHour) -> None:
    amounts = row[2:]
    known = sums.get(key)
    if known is None:
        sums[key] = list(amounts)
    else:
        for place, amount in enumerate(amounts):
            known[place] += amount


def _rows(sums: _Sums) -> list[TradeSums]:
    return [TradeSums(key, *amounts) for key, amounts in sums.items()]  # type: ignore[arg-type]


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
    now = [trade for bot in bots for trade in bot.by_symbol]
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


def trade_breakdown(bots: Sequence[BotTrades]) -> TradeBreakdown:
    """Return the trades of the period by symbol, local weekday and local hour."""
    symbols = _group(trade for bot in bots for trade in bot.by_symbol)
    weekdays = _group(trade for bot in bots for trade in bot.by_weekday)
    hours = _group(trade for bot in bots for trade in bot.by_hour)
    return TradeBreakdown(
        total=trade_group("all", [trade for trades in symbols.values() for trade in trades]),
        previous=trade_group("all", [trade for bot in bots for trade in bot.previous]),
        by_symbol=_best_and_worst(symbols),
        by_weekday=[trade_group(day, weekdays[day]) for day in calendar.day_abbr if day in weekdays],
        by_hour=[trade_group(hour, hours[hour]) for hour in sorted(hours)],
    )


def _group(trades: Iterable[TradeSums]) -> dict[str, list[TradeSums]]:
    found: dict[str, list[TradeSums]] = {}
    for trade in trades:
        found.setdefault(trade.key, []).append(trade)
    return found


def _best_and_worst(symbols: Mapping[str, list[TradeSums]]) -> list[TradeGroup]:
    groups = [trade_group(symbol, trades) for symbol, trades in symbols.items()]
    groups.sort(key=lambda group: (-group.pnl, group.key))
    if len(groups) <= MAX_SYMBOLS:
        return groups
    half = MAX_SYMBOLS // 2
    left = {group.key for group in groups[half:-half]}
    rest = [trade for symbol, trades in symbols.items() if symbol in left for trade in trades]
    return [*groups[:half], *groups[-half:], trade_group(f"{len(left)} {OTHERS}", rest)]


def trade_group(key: str, trades: Sequence[TradeSums]) -> TradeGroup:
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
