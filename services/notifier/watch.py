"""The watch: what is wrong with Botwatch, given what is seen of it. Pure; time is an argument."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from services.notifier.trouble import Trouble

BEAT = timedelta(seconds=10)
"""How often the watchdog beats."""
PATIENCE = timedelta(seconds=12)
"""How long something may be wrong: a part that is restarted is back by then."""
STARTING = timedelta(seconds=60)
"""How long parts may take to come up, together with the watchdog."""
OVERDUE = timedelta(seconds=15)
"""How long what is due may wait before somebody tries to deliver it."""


class Seen(NamedTuple):
    """What the watchdog sees at one moment."""

    signs: Mapping[str, datetime] | None
    """When each part last gave a sign of life; None: Redis does not answer."""
    is_readable: bool
    """Whether the store can be read."""
    waiting: datetime | None = None
    """Since when the oldest delivery has been due that nobody tried; the same of what is to be dispatched."""
    heard: datetime | None = None
    """When the last beat came through."""


class Watch:
    """Judges what is seen from moment to moment."""

    def __init__(self, expected: frozenset[str], begun: datetime) -> None:
        self._expected = expected
        self._begun = begun
        self._since: dict[str, datetime] = {}
        """Since when something is as it should not be."""
        self._known: set[str] = set()
        """The parts that gave a sign of life."""

    def judge(self, seen: Seen, now: datetime) -> list[Trouble]:
        """Return what is wrong; what only follows from something else that is wrong is left out."""
        causes = [*self._causes(seen, now)]
        return causes or [*self._consequences(seen, now)]

    def _causes(self, seen: Seen, now: datetime) -> Iterator[Trouble]:
        if self._lasts("redis", seen.signs is None, now):
            yield _trouble("botwatch-redis-away", "Redis does not answer", self._seconds("redis", now))
        if self._lasts("store", not seen.is_readable, now):
            yield _trouble("botwatch-store-away", "The store cannot be read", self._seconds("store", now))
        if seen.signs is None:
            return
        self._known |= seen.signs.keys()
        for part in sorted(self._expected):
            last = seen.signs.get(part)
            is_gone = last is None or now - last > PATIENCE
            if self._lasts(part, is_gone, now, last) and (part in self._known or self._is_up(now)):
                silent = self._seconds(part, now)
                yield _trouble("botwatch-part-down", f"The {part} is not running", silent, part=part)

    def _consequences(self, seen: Seen, now: datetime) -> Iterator[Trouble]:
        if seen.signs is None or not seen.is_readable:
            return
        if seen.waiting and now - seen.waiting > OVERDUE:
            waited = (now - seen.waiting).total_seconds()
            yield _trouble("botwatch-deliveries-overdue", "Notices wait and nobody delivers them", waited)
        silence = now - max(seen.heard or self._begun, self._begun)
        limit = BEAT + OVERDUE if seen.heard and seen.heard >= self._begun else STARTING
        if silence > limit:
            words = "The watchdog's beat does not come through"
            yield _trouble("botwatch-watchdog-silent", words, silence.total_seconds())

    def _lasts(self, what: str, is_wrong: bool, now: datetime, last: datetime | None = None) -> bool:
        """Say whether something has been wrong for long enough."""
        if not is_wrong:
            self._since.pop(what, None)
            return False
        since = self._since.setdefault(what, last or now)
        return now - since >= PATIENCE

    def _is_up(self, now: datetime) -> bool:
        return now - self._begun >= STARTING

    def _seconds(self, what: str, now: datetime) -> float:
        return (now - self._since[what]).total_seconds()


def _trouble(rule: str, message: str, seconds: float, **labels: str) -> Trouble:
    return Trouble(
        rule=rule,
        labels=tuple(labels.items()),
        message=message,
        metric="secondsWithout",
        value=round(seconds),
        threshold=PATIENCE.total_seconds(),
        runbook=rule,
    )
