"""Folds the events of files into an account: in the order of time, with the rates of the whole past."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from services.recorder.replay.files import ReplayFile
from services.recorder.replay.rows import FoundEvent, ReadReport
from shared.analytics.account import BotAccount
from shared.analytics.events import EquityPoint, Execution, Quote, TradeReport, TradingEvent, event_order
from shared.analytics.rates import QuotedRates
from shared.analytics.settings import AnalyticsSettings
from shared.analytics.trade import Trade
from shared.schema.faults import Fault, InvalidError

STEP = 20_000
"""Events between two reports of the progress."""
Progress = Callable[[str, int], None]
"""Takes what is being done, and how many events are done."""


class FileSummary(NamedTuple):
    """What was read of a file."""

    file: str
    format: str
    rows: int
    repeated: int
    """Events that it, or a file before it, has already."""
    notes: list[str]


class Replayed(NamedTuple):
    """The account after the last event, and what was read."""

    account: BotAccount
    trades: list[Trade]
    files: list[FileSummary]
    events: Counter[str]
    """Number of folded events by kind."""
    first_at: int
    """Time of the first event, epoch milliseconds."""


class _Survey(NamedTuple):
    """What the first pass found in a file."""

    summary: FileSummary
    bots: Counter[str]
    kinds: set[type[TradingEvent]]
    is_ordered: bool
    is_newest_first: bool


def replay(
    files: Sequence[ReplayFile],
    bot: str,
    settings: AnalyticsSettings,
    progress: Progress,
    *,
    keep_trades: bool = True,
) -> Replayed:
    """Fold the events of `bot`, those of files that name no bot included. InvalidError if a row is wrong.

    Two passes: rates shortly after a fill count, so all are collected before. Files in the order of time are
    streamed; of others, the events are kept and sorted.
    """
    rates = QuotedRates(settings.rate_max_age_s)
    seen = _Seen()
    surveys = [_survey(file, bot, rates, seen, progress) for file in files]
    _require_events(surveys, bot)
    seen = _Seen()
    streams = [_ordered(file, survey, bot, seen) for file, survey in zip(files, surveys, strict=True)]
    if not all(survey.is_ordered for survey in surveys):
        # Of a minute, the first price is the rate: they are collected again, in order.
        streams = [list(stream) for stream in streams]
        rates = QuotedRates(settings.rate_max_age_s)
        for event in heapq.merge(*streams, key=event_order):
            if isinstance(event, Quote | Execution):
                rates.add(event)
    stream: Iterator[TradingEvent] = heapq.merge(*streams, key=event_order)
    kinds = set().union(*(survey.kinds for survey in surveys))
    if kinds == {TradeReport} and settings.start_equity is not None:
        surveys[0].summary.notes.append("Equity is --start-equity plus the P&L of the trades closed so far.")
        stream = _with_equity(stream, settings.start_equity)
    account = BotAccount(settings, rates=rates)
    trades: list[Trade] = []
    events: Counter[str] = Counter()
    first_at = 0
    for done, event in enumerate(stream):
        first_at = first_at or event.at
        account.apply(event)
        events[type(event).__name__] += 1
        if done % STEP == 0:
            progress("folding", done)
            _drain(account, trades if keep_trades else [])
    _drain(account, trades if keep_trades else [])
    return Replayed(account, trades, [survey.summary for survey in surveys], events, first_at)


def past_events(
    files: Sequence[ReplayFile], bot: str, progress: Progress
) -> tuple[list[FileSummary], Iterator[TradingEvent]]:
    """Return what was read, and the events of `bot` in the order of time. InvalidError if a row is wrong."""
    seen = _Seen()
    surveys = [_survey(file, bot, QuotedRates(), seen, progress) for file in files]
    _require_events(surveys, bot)
    seen = _Seen()
    streams = [_ordered(file, survey, bot, seen) for file, survey in zip(files, surveys, strict=True)]
    return [survey.summary for survey in surveys], heapq.merge(*streams, key=event_order)


def _with_equity(trades: Iterable[TradingEvent], equity: float) -> Iterator[TradingEvent]:
    """Add the equity after the trades of each moment, from trades in the order of time."""
    for at, group in groupby(trades, key=lambda event: event.at):
        closed = list(group)
        equity += sum(trade.pnl for trade in closed if isinstance(trade, TradeReport))
        yield EquityPoint(at, equity)
        yield from closed


def _drain(account: BotAccount, trades: list[Trade]) -> None:
    """Take the output of the account, which would grow with the past."""
    trades += account.trades
    account.trades.clear()
    account.minutes.clear()
    account.hours.clear()


def _survey(file: ReplayFile, bot: str, rates: QuotedRates, seen: "_Seen", progress: Progress) -> _Survey:
    """Read a file once: reject wrong rows, collect rates, find out its order."""
    report = ReadReport(str(file.path))
    bots: Counter[str] = Counter()
    kinds: set[type[TradingEvent]] = set()
    last, is_ordered, is_descending = (0, 0, 0), True, True
    before = seen.repeated
    for done, found in enumerate(file.events(report)):
        if done % STEP == 0:
            progress(f"reading {file.path.name}", done)
        event = found.event
        bots[found.bot or bot] += 1
        if isinstance(event, Quote | Execution):
            rates.add(event)
        seen.is_new(found)
        if found.bot in (None, bot):
            kinds.add(type(event))
            place = event_order(event)
            is_ordered = is_ordered and place >= last
            is_descending = is_descending and (place[0] <= last[0] or not last[0])
            last = place
    if report.wrong:
        more = f"; the first {len(report.faults)} are listed" if report.wrong > len(report.faults) else ""
        total = f"{report.rows:,} rows were read, {report.wrong:,} of them are wrong{more}"
        total += "; nothing was computed or sent"
        raise InvalidError([*report.faults, Fault(report.file, total)])
    if report.without_zone:
        report.note("Times without a zone are in that of --time-zone (default: UTC).")
    repeated = seen.repeated - before
    if repeated:
        report.note(f"{repeated:,} events came before and count once.")
    summary = FileSummary(
        report.file, report.format or file.format, report.rows, repeated, list(report.notes)
    )
    return _Survey(summary, bots, kinds, is_ordered, is_descending and not is_ordered)


class _Seen:
    """The identities of events so far: an event that comes twice counts once."""

    def __init__(self) -> None:
        self._identities: set[int] = set()
        self.repeated = 0

    def is_new(self, found: FoundEvent) -> bool:
        """Return whether this event has not come before, and remember it."""
        if found.identity is None:
            return True
        if found.identity in self._identities:
            self.repeated += 1
            return False
        self._identities.add(found.identity)
        return True


def _require_events(surveys: Sequence[_Survey], bot: str) -> None:
    bots = sum((survey.bots for survey in surveys), Counter())
    if bots[bot]:
        return
    found = ", ".join(sorted(bots))
    message = (
        f"expected records of bot {bot!r}; the file has those of {found}" if found else "no trading event"
    )
    rows = sum(survey.summary.rows for survey in surveys)
    raise InvalidError([Fault(surveys[0].summary.file, f"{message}; {rows:,} rows were read")])


def _ordered(file: ReplayFile, survey: _Survey, bot: str, seen: _Seen) -> Iterable[TradingEvent]:
    """Return the events of the bot in the order of folding; newest-first files are read backwards."""
    stream = _events(file, bot, seen)
    if survey.is_ordered:
        return stream
    events = list(stream)
    if survey.is_newest_first:
        events.reverse()
    return sorted(events, key=event_order)


def _events(file: ReplayFile, bot: str, seen: _Seen) -> Iterator[TradingEvent]:
    for found in file.events(ReadReport(str(file.path))):
        if found.bot in (None, bot) and seen.is_new(found):
            yield found.event
