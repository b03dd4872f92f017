"""Failed logins, per minute and by the address that they come from."""

from collections import Counter, deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from services.collector.auth_log import FailedLogins, Failure
from services.collector.auth_source import AuthSource, Reached, hear
from services.collector.place import Place
from services.collector.probe import Look, Probe
from services.collector.state import State
from shared.runtime.checks import FailedLoginsSection, SecuritySection
from shared.schema.durations import rough
from shared.schema.records import CheckType

WINDOW = timedelta(minutes=1)
MOST_NAMED = 3
LONGEST_NAME = 32


def probe(section: SecuritySection, timeout_s: float, place: Place) -> Probe:
    """Make the probe of `section.failed_logins`."""
    if section.failed_logins is None:
        raise TypeError("not a check of logins")
    return LoginsProbe(section.failed_logins, timeout_s, place, State(Reached, "logins", place.state))


class Span(NamedTuple):
    """What failed between two looks."""

    begin: datetime
    failures: Sequence[Failure]
    skipped: bool


class LoginsProbe:
    """Looks into the log of authentication; the status is that of the last minute, or since the last look."""

    type: CheckType = "logins"

    def __init__(
        self, section: FailedLoginsSection, timeout_s: float, place: Place, state: State[Reached]
    ) -> None:
        self._section = section
        self._source = AuthSource(section, place, timeout_s, state, btmp=True)
        self._logins = FailedLogins()
        self._spans: deque[Span] = deque()

    def look(self, now: datetime) -> Look:
        """Look once; `unknown` when nothing tells of logins, or it may not be read."""
        news = hear(self._source, now, "logins")
        if isinstance(news, Look):
            return news
        if not news.where:
            return Look("unknown", f"nothing tells of logins: {self._missing()}", "other")
        failures = [*self._logins.read(news.messages), *news.failures]
        self._spans.append(Span(news.since or now, failures, news.skipped))
        while len(self._spans) > 1 and self._spans[0].begin < now - WINDOW:
            self._spans.popleft()
        look = judge(self._section, self._spans, now, news.where)
        return look._replace(figures={**look.figures, "occurrences": count(failures)})

    def _missing(self) -> str:
        names = [*self._section.files, *([self._section.btmp] if self._section.btmp else [])]
        return f"there is neither {', '.join(names)} nor a journal that journalctl could read here"


def judge(section: FailedLoginsSection, spans: Sequence[Span], now: datetime, where: str) -> Look:
    """Say how many logins failed in the last minute, or since the last look when that is longer ago."""
    failures = [failure for one in spans for failure in one.failures]
    length = max(now - spans[0].begin, WINDOW)
    total = count(failures)
    rate = total / (length / WINDOW)
    figures = {"per_minute": round(rate, 3)}
    # Looks come up to a tenth later than they are due.
    during = "in the last minute" if length < 1.2 * WINDOW else f"in the last {rough(length.total_seconds())}"
    if any(one.skipped for one in spans):
        during += ", and more in what was too much to read"
    text = describe(failures, during) if total else f"no failed logins {during}, by {where}"
    for status, limit in (("critical", section.critical), ("warning", section.warning)):
        if rate >= limit:
            expected = f"; expected fewer than {limit:g} a minute"
            return Look(status, text + expected, "too_many", figures)  # type: ignore[arg-type]  # the literals above
    return Look("ok", text, None, figures)


def describe(failures: Sequence[Failure], during: str) -> str:
    """Say how many there were, and from where the most."""
    total = count(failures)
    sources: Counter[str] = Counter()
    for failure in failures:
        sources[failure.source] += failure.times
    source, most = max(sources.items(), key=lambda item: (item[1], item[0]))
    users: Counter[str] = Counter()
    for failure in failures:
        if failure.source == source and failure.user:
            users[failure.user] += failure.times
    share = "" if most == total else f"{most} of them "
    names = ", ".join(_name(user) for user, _ in users.most_common(MOST_NAMED))
    names += ", …" if len(users) > MOST_NAMED else ""
    origin = f"from {source}" if source else "without an address"
    logins = "failed login" if total == 1 else "failed logins"
    return f"{total} {logins} {during}, {share}{origin}" + (f" ({names})" if names else "")


def count(failures: Sequence[Failure]) -> int:
    """Return how many attempts they are."""
    return sum(failure.times for failure in failures)


def _name(user: str) -> str:
    """Return a name as it was given; in quotes when it could pass for something else."""
    short = user if len(user) <= LONGEST_NAME else user[: LONGEST_NAME - 1] + "…"
    return short if short.replace("-", "").replace("_", "").replace(".", "").isalnum() else repr(short)
