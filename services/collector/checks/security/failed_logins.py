"""Failed logins, per minute and by the address that they come from."""

from collections import Counter, deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from services.collector.checks.base import CheckResult, Probe
from services.collector.checks.saved_state import SavedState
from services.collector.checks.security.auth_log import FailedLogin, FailedLogins
from services.collector.checks.security.auth_source import AuthSource, ReadPosition, read_or_result
from services.collector.host.watched_host import WatchedHost
from shared.runtime.config.check_sections import FailedLoginsSection
from shared.schema.durations import format_rough
from shared.schema.records import CheckType

WINDOW = timedelta(minutes=1)
MAX_NAMED = 3
MAX_NAME = 32


def create_probe(section: FailedLoginsSection, timeout_s: float, place: WatchedHost) -> Probe:
    """Make the probe of `section`."""
    return LoginsProbe(section, timeout_s, place, SavedState(ReadPosition, "logins", place.state))


class LoginWindow(NamedTuple):
    """What failed between two runs."""

    begin: datetime
    failures: Sequence[FailedLogin]
    skipped: bool


class LoginsProbe:
    """Reads the authentication log; the status is that of the last minute, or since the last run."""

    type: CheckType = "logins"

    def __init__(
        self,
        section: FailedLoginsSection,
        timeout_s: float,
        place: WatchedHost,
        state: SavedState[ReadPosition],
    ) -> None:
        self._section = section
        self._source = AuthSource(section, place, timeout_s, state, btmp=True)
        self._logins = FailedLogins()
        self._spans: deque[LoginWindow] = deque()

    def run(self, now: datetime) -> CheckResult:
        """Run once; `unknown` if there is no source of logins, or it cannot be read."""
        events = read_or_result(self._source, now, "logins")
        if isinstance(events, CheckResult):
            return events
        if not events.where:
            return CheckResult("unknown", f"No login log found: {self._missing_sources()}", "other")
        failures = [*self._logins.count_new(events.messages), *events.failures]
        self._spans.append(LoginWindow(events.since or now, failures, events.skipped))
        while len(self._spans) > 1 and self._spans[0].begin < now - WINDOW:
            self._spans.popleft()
        result = evaluate_logins(self._section, self._spans, now, events.where)
        return result._replace(figures={**result.figures, "occurrences": count_attempts(failures)})

    def _missing_sources(self) -> str:
        names = [*self._section.files, *([self._section.btmp] if self._section.btmp else [])]
        return f"neither {', '.join(names)} nor a readable journal"


def evaluate_logins(
    section: FailedLoginsSection, spans: Sequence[LoginWindow], now: datetime, where: str
) -> CheckResult:
    """Describe the failed logins of the last minute, or since the last run if that is longer ago."""
    failures = [failure for one in spans for failure in one.failures]
    length = max(now - spans[0].begin, WINDOW)
    total = count_attempts(failures)
    rate = total / (length / WINDOW)
    figures = {"per_minute": round(rate, 3)}
    # Looks come up to a tenth later than they are due.
    during = (
        "in the last minute"
        if length < 1.2 * WINDOW
        else f"in the last {format_rough(length.total_seconds())}"
    )
    if any(one.skipped for one in spans):
        during += " (log read only in part)"
    text = describe_failures(failures, during) if total else f"No failed logins {during} (source: {where})"
    for status, limit in (("critical", section.critical), ("warning", section.warning)):
        if rate >= limit:
            expected = f" (limit {limit:g}/min)"
            return CheckResult(status, text + expected, "too_many", figures)  # type: ignore[arg-type]  # the literals above
    return CheckResult("ok", text, None, figures)


def describe_failures(failures: Sequence[FailedLogin], during: str) -> str:
    """Say how many there were, and from where the most."""
    total = count_attempts(failures)
    sources: Counter[str] = Counter()
    for failure in failures:
        sources[failure.source] += failure.times
    source, most = max(sources.items(), key=lambda item: (item[1], item[0]))
    users: Counter[str] = Counter()
    for failure in failures:
        if failure.source == source and failure.user:
            users[failure.user] += failure.times
    share = "" if most == total else f"{most} of them "
    names = ", ".join(_quote_user(user) for user, _ in users.most_common(MAX_NAMED))
    names += ", …" if len(users) > MAX_NAMED else ""
    origin = f"from {source}" if source else "without an address"
    logins = "failed login" if total == 1 else "failed logins"
    return f"{total} {logins} {during}, {share}{origin}" + (f" ({names})" if names else "")


def count_attempts(failures: Sequence[FailedLogin]) -> int:
    """Return how many attempts they are."""
    return sum(failure.times for failure in failures)


def _quote_user(user: str) -> str:
    """Return a name as it was given; in quotes when it could pass for something else."""
    short = user if len(user) <= MAX_NAME else user[: MAX_NAME - 1] + "…"
    return short if short.replace("-", "").replace("_", "").replace(".", "").isalnum() else repr(short)
