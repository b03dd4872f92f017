"""Public status: what a stranger may know of the bots and checks that were chosen. Pure.

Nothing is copied from records and alerts but names, times and severities: texts, values, limits, labels and
hosts stay inside. With `money` there are portfolio values, P&L, drawdowns and the texts of alerts as well.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from math import floor
from typing import Literal, NamedTuple

import msgspec

from services.dashboard import snapshot
from services.dashboard.status_page.selection import Selection
from shared.analytics.availability import (
    DAY_MS,
    UNKNOWN_INTERVAL_MS,
    StatusSpan,
    StatusTimes,
    hold_ms,
    status_bars,
)
from shared.schema.alerts import SEVERITIES, Alert, Severity
from shared.schema.formatting import metric_label
from shared.schema.muting import MaintenanceWindow
from shared.schema.records import AnyRecord, Check, CheckStatus, HostRecord, Status
from shared.schema.timestamps import epoch_ms, from_epoch_ms

HISTORY_DAYS = 90
RECENT = timedelta(days=14)
"""How long resolved incidents are listed."""
MAX_RECENT = 50
PLANNED = timedelta(days=30)
"""How far ahead maintenance is listed."""
MAX_SPANS = 3
"""How often one window is listed."""
SILENT_RUNBOOKS = frozenset(("heartbeat-missing", "bot-silent"))
"""Runbooks of the rules that fire when nothing comes from a bot."""
GRAVEST_FIRST: Sequence[CheckStatus] = ("critical", "warning", "unknown", "ok")

TINY = 1e-6
"""Against what is missing from a product of floats: 99.29 * 1000 is a little less than 99290."""

BotState = Literal["ok", "alert", "critical", "silent"]
TEXTS: Mapping[Status, str] = {
    "HEALTHY": "Everything works",
    "WARNING": "Something needs attention",
    "CRITICAL": "There is a serious problem",
    "UNKNOWN": "Nothing is known yet",
}


class PublicStruct(msgspec.Struct, kw_only=True, rename="camel"):
    """What all public answers have in common."""


class BotMoney(PublicStruct):
    """What a bot has, in its account currency; undefined values are null."""

    currency: str | None
    portfolio_value: float | None
    total_pnl: float | None = msgspec.field(name="totalPnL")
    current_drawdown: float | None
    """Percent."""


class PublicBot(PublicStruct):
    """A bot."""

    name: str
    state: BotState
    alerts: int
    """Open alerts that are not muted."""
    severity: Severity | None
    """Of the most severe of them."""
    since: datetime | None
    """When the first of them opened."""
    money: BotMoney | msgspec.UnsetType = msgspec.UNSET


class PublicCheck(PublicStruct):
    """A check: all of its name on all hosts, the worst status first."""

    name: str
    status: CheckStatus
    availability: float | None
    """Percent of the known time of the last 90 days in which it was up; null if nothing is known."""
    days: list[float | None]
    """The same of each day (UTC) from `historyFrom` on."""


class Incident(PublicStruct):
    """An alert about a bot or a check that is shown."""

    kind: Literal["bot", "check"]
    name: str
    title: str
    """The rule, or what it measures where the rule has no name of its own."""
    severity: Severity
    since: datetime
    until: datetime | None
    """Null while it is open."""
    acknowledged: bool
    """Whether somebody works on it."""
    text: str | msgspec.UnsetType = msgspec.UNSET


class PlannedMaintenance(PublicStruct):
    """A maintenance window, now or to come."""

    name: str
    start: datetime
    end: datetime


class PublicStatus(PublicStruct):
    """The status of what is shown."""

    timestamp: datetime
    title: str
    status: Status
    text: str
    impaired: bool
    """Whether a part of Botwatch does not work, so that the rest may be out of date."""
    bots: list[PublicBot]
    checks: list[PublicCheck]
    history_from: date
    incidents: list[Incident]
    """Open ones, the most severe first."""
    recent: list[Incident]
    """Resolved ones of the last 14 days, the newest first."""
    maintenance: list[PlannedMaintenance]


class StatusSources(NamedTuple):
    """All that a public status is made of."""

    records: Sequence[AnyRecord]
    open_alerts: Sequence[Alert]
    resolved: Iterable[Alert]
    """The newest first."""
    days: Mapping[str, "CheckDays"]
    windows: Sequence[MaintenanceWindow]
    named_rules: Collection[str]
    """Rules that people gave a name. Others are named by their metric and limit, and a limit may be money."""
    currency_of: Callable[[str], str | None]
    """The currency of a bot's settings."""
    impaired: bool


class CheckDays(NamedTuple):
    """A check's availability."""

    availability: float | None
    days: list[float | None]


def public_status(title: str, selection: Selection, sources: StatusSources, now: datetime) -> PublicStatus:
    """Return what may be known at `now`."""
    shown = _Shown(selection, sources, now)
    bots = [shown.bot(bot) for bot in shown.bots]
    checks = [shown.check(name) for name in shown.checks]
    status = _overall(bots, shown.unmuted_statuses(), is_impaired=sources.impaired)
    return PublicStatus(
        timestamp=now,
        title=title,
        status=status,
        text=TEXTS[status],
        impaired=sources.impaired,
        bots=bots,
        checks=checks,
        history_from=first_day(now).date(),
        incidents=sorted(map(shown.incident, shown.open), key=_gravest_first),
        recent=shown.recent(sources.resolved),
        maintenance=shown.maintenance(sources.windows),
    )


def first_day(now: datetime) -> datetime:
    """Return the begin of the first day of the history."""
    return from_epoch_ms(epoch_ms(now) // DAY_MS * DAY_MS) - timedelta(days=HISTORY_DAYS - 1)


def days_of_checks(found: Iterable[tuple[str, Sequence[StatusSpan]]], now: datetime) -> dict[str, CheckDays]:
    """Return the availability of checks by name, from their spans; those of one name count together."""
    begin = epoch_ms(first_day(now))
    totals: dict[str, list[list[int]]] = {}
    for name, spans in found:
        bars = status_bars(spans, begin, DAY_MS, HISTORY_DAYS, epoch_ms(now))
        known = totals.setdefault(name, [[0, 0, 0, 0] for _ in bars])
        for day, bar in zip(known, bars, strict=True):
            day[:] = [old + new for old, new in zip(day, bar, strict=True)]
    return {name: _availability(days) for name, days in totals.items()}


def _availability(days: Sequence[Sequence[int]]) -> CheckDays:
    whole = StatusTimes(*(sum(column) for column in zip(*days, strict=True)))
    return CheckDays(_percent(whole), [_percent(StatusTimes(*day)) for day in days])


def _percent(times: StatusTimes) -> float | None:
    share = times.availability
    # Rounded down: what was down for a moment must not say 100.
    return None if share is None else floor(share * 1000 + TINY) / 1000


class _Shown:
    """The part of the sources that the selection lets through."""

    def __init__(self, selection: Selection, sources: StatusSources, now: datetime) -> None:
        self._selection = selection
        self._sources = sources
        self._now = now
        self.bots = {
            bot: records
            for bot, records in snapshot.group_by_bot(sources.records).items()
            if selection.shows_bot(bot, _labels(records)) and not snapshot.is_retired(records)
        }
        self.checks: dict[str, list[Check]] = {}
        for record in sources.records:
            if isinstance(record, Check) and selection.shows_check(record.check, record.type):
                self.checks.setdefault(record.check, []).append(record)
        self.checks = dict(sorted(self.checks.items()))
        self._places = {(one.host, one.check) for known in self.checks.values() for one in known}
        self.open = [alert for alert in sources.open_alerts if self._subject(alert)]
        self._alerts: defaultdict[str | None, list[Alert]] = defaultdict(list)
        for alert in self.open:
            self._alerts[alert.details.bot].append(alert)

    def _subject(self, alert: Alert) -> tuple[Literal["bot", "check"], str] | None:
        """Return what an alert is about; None if that is not shown, or the alert is muted."""
        bot, check = alert.details.bot, alert.details.labels.get("check", "")
        if alert.details.origin or alert.details.muted_by:
            return None
        if bot is not None:
            return ("bot", bot) if bot in self.bots else None
        return ("check", check) if (alert.details.host, check) in self._places else None

    def bot(self, bot: str) -> PublicBot:
        alerts = self._alerts[bot]
        severity = max((alert.severity for alert in alerts), key=SEVERITIES.index, default=None)
        return PublicBot(
            name=bot,
            state=_bot_state(alerts, severity),
            alerts=len(alerts),
            severity=severity,
            since=min((alert.timestamp for alert in alerts), default=None),
            money=self._money(bot) if self._selection.money else msgspec.UNSET,
        )

    def _money(self, bot: str) -> BotMoney:
        known = snapshot.bot_snapshot(bot, self.bots[bot], self._now, self._sources.currency_of(bot))
        return msgspec.convert(known, BotMoney)

    def check(self, name: str) -> PublicCheck:
        known = self._sources.days.get(name, CheckDays(None, [None] * HISTORY_DAYS))
        return PublicCheck(
            name=name,
            status=min((_status_at(one, self._now) for one in self.checks[name]), key=GRAVEST_FIRST.index),
            availability=known.availability,
            days=known.days,
        )

    def unmuted_statuses(self) -> set[CheckStatus]:
        """Return the statuses of the checks, without those whose alert is muted: that is expected."""
        alerts = (alert.details for alert in self._sources.open_alerts if alert.details.muted_by)
        muted = {(details.host, details.labels.get("check")) for details in alerts}
        return {
            _status_at(one, self._now)
            for known in self.checks.values()
            for one in known
            if (one.host, one.check) not in muted
        }

    def incident(self, alert: Alert) -> Incident:
        kind, name = self._subject(alert) or ("bot", alert.component)
        return Incident(
            kind=kind,
            name=name,
            title=self._title(alert),
            severity=alert.severity,
            since=alert.timestamp,
            until=alert.resolved_at,
            acknowledged=alert.status == "ACKNOWLEDGED",
            text=alert.message if self._selection.money else msgspec.UNSET,
        )

    def _title(self, alert: Alert) -> str:
        """Return the rule's name if it was given one, as those of external alerts always are."""
        is_named = alert.details.external or alert.details.rule in self._sources.named_rules
        return alert.details.rule if is_named else metric_label(alert.details.metric)

    def recent(self, resolved: Iterable[Alert]) -> list[Incident]:
        return [self.incident(alert) for alert in resolved if self._subject(alert)][:MAX_RECENT]

    def maintenance(self, windows: Iterable[MaintenanceWindow]) -> list[PlannedMaintenance]:
        found = [
            PlannedMaintenance(name=window.name, start=start, end=end)
            for window in windows
            if self._selection.shows_window(window, self.bots)
            for _, (start, end) in zip(
                range(MAX_SPANS), window.when.spans_between(self._now, self._now + PLANNED), strict=False
            )
        ]
        return sorted(found, key=lambda planned: (planned.start, planned.name))


def _labels(records: Iterable[AnyRecord]) -> dict[str, str]:
    """Return the labels of a bot: of its latest records, in which a later one wins."""
    own = [record for record in records if not isinstance(record, HostRecord)]
    labels: dict[str, str] = {}
    for record in sorted(own, key=lambda record: record.at):
        labels |= record.labels
    return labels


def _bot_state(alerts: Iterable[Alert], severity: Severity | None) -> BotState:
    if any(alert.details.runbook in SILENT_RUNBOOKS for alert in alerts):
        return "silent"
    if severity is None:
        return "ok"
    return "critical" if severity == "CRITICAL" else "alert"


def _status_at(check: Check, now: datetime) -> CheckStatus:
    """Return the status of a check; unknown if its latest result no longer counts."""
    interval_ms = check.interval_seconds * 1000 if check.interval_seconds else UNKNOWN_INTERVAL_MS
    is_over = epoch_ms(now) - epoch_ms(check.at) > hold_ms(int(interval_ms))
    return "unknown" if is_over else check.status


def _overall(bots: Sequence[PublicBot], checks: Collection[CheckStatus], *, is_impaired: bool) -> Status:
    if any(bot.severity == "CRITICAL" for bot in bots) or "critical" in checks:
        return "CRITICAL"
    if is_impaired or any(bot.alerts for bot in bots) or "warning" in checks:
        return "WARNING"
    return "HEALTHY" if bots or checks else "UNKNOWN"


def _gravest_first(incident: Incident) -> tuple[int, datetime]:
    return -SEVERITIES.index(incident.severity), incident.since
