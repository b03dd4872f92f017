"""Rate recorder: keeps the first price of each pair and minute, and finds the bots that a new one changes."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from sqlalchemy import Connection

from services.recorder.bot_metrics import BotMetrics
from shared.analytics.events import Execution, Quote, TradingEvent
from shared.analytics.rates import LATER_MS, Conversions, PairRate, rate_in
from shared.store.analytics_data import checkpoint_before
from shared.store.database import Database
from shared.store.rates import StoredRates, insert_rates

KNOWN = 20_000
"""Pairs and minutes known to be stored; those dropped are only looked up once more."""


class _SavedConversions(msgspec.Struct):
    """The part of a stored state that rates may change."""

    conversions: Conversions = msgspec.field(default_factory=Conversions)


class RateRecorder:
    """Writes rates in the recorder's own transaction."""

    def __init__(self, database: Database, max_age_s: float) -> None:
        self.stored = StoredRates(database, max_age_s)
        """Where the bots' accounts look rates up."""
        self._max_age_s = max_age_s
        self._known: dict[tuple[str, str, int], None] = {}
        self._written: dict[tuple[str, str, int], None] = {}

    def write(self, connection: Connection, events: Mapping[str, Sequence[TradingEvent]]) -> list[PairRate]:
        """Write the rates in `events`, and return those that are new; of a batch, the earliest counts."""
        found: dict[tuple[str, str, int], PairRate] = {}
        for some in events.values():
            for event in some:
                if not isinstance(event, Quote | Execution) or (rate := rate_in(event)) is None:
                    continue
                key = (rate.base, rate.quote, rate.minute)
                if key not in self._known and (key not in found or rate.rate.at < found[key].rate.at):
                    found[key] = rate
        self._written = dict.fromkeys(found)
        return insert_rates(connection, found.values())

    def mark_committed(self, new: Iterable[PairRate]) -> None:
        """Record that new rates, and those that were there, are stored."""
        self._known |= self._written
        while len(self._known) > KNOWN:
            del self._known[next(iter(self._known))]
        self.stored.add(new)

    def changed_bots(
        self,
        connection: Connection,
        new: Sequence[PairRate],
        bots: Mapping[str, BotMetrics],
        checkpoints: Mapping[str, int],
    ) -> dict[str, int]:
        """Return the bots whose conversions new rates may change, with the time from which.

        For a bot that is not in memory, the newest checkpoint says what it has converted; `checkpoints` has
        the end of each.
        """
        if not new:
            return {}
        found: dict[str, int] = {}
        earliest = min(rate.rate.at for rate in new) - LATER_MS
        for bot in bots.keys() | checkpoints.keys():
            account = bots[bot].account if bot in bots else None
            if account is not None:
                conversions = account.state.conversions
            elif checkpoints.get(bot, 0) >= earliest:
                conversions = _saved_conversions(connection, bot)
            else:
                continue
            moments = [conversions.changes_from(rate, self._max_age_s) for rate in new]
            changed = [moment for moment in moments if moment is not None]
            if changed:
                found[bot] = min(changed)
        return found


def _saved_conversions(connection: Connection, bot: str) -> Conversions:
    """Return what the bot's newest checkpoint has converted."""
    checkpoint = checkpoint_before(connection, bot)
    if checkpoint is None:
        return Conversions()
    return msgspec.json.decode(checkpoint.state, type=_SavedConversions).conversions
