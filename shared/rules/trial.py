"""Rule trial: what alerts a rule would have opened on past records. Pure.

The records go through the evaluator's engine, each at its own timestamp, and the results through the same
alert lifecycle: a trial gives the alerts that the evaluator gave on the same records. Records that arrived
late count as if they had come in time, and inhibitions by alerts of other rules are left out.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from heapq import heappush, heappushpop
from typing import NamedTuple

import msgspec

from shared.rules.engine import Engine, RuleEvent
from shared.rules.rule import Rule
from shared.rules.rule_index import EVALUATED_KINDS, HOST_METRICS, NET_FLOW
from shared.rules.rule_result import next_transition
from shared.rules.subject import Key, Subject
from shared.schema.alerts import Alert, Severity, most_severe
from shared.schema.formatting import format_value
from shared.schema.muting import MuteConfig, MuteEvaluator
from shared.schema.records import (
    CHECK_STATE,
    KINDS,
    RETIRED,
    STOPPED,
    UNRETIRED,
    AnyRecord,
    CashFlow,
    Check,
    Heartbeat,
    Metric,
    Record,
)
from shared.schema.silences import Silence
from shared.schema.timestamps import epoch_ms, from_epoch_ms
from shared.schema.units import metric_fields

MAX_ALERTS = 1000
"""Limit of the alerts that a result lists, the newest; all of them are counted."""
MAX_SUBJECTS = 500
"""Limit of the subjects that a result lists, those that fired longest."""
MIN_WARM_UP_MS = 24 * 3_600_000


class RecordQuery(NamedTuple):
    """Records that a rule needs."""

    kind: type[Record]
    metrics: frozenset[str] = frozenset()
    """Only records with a value of one of these metrics; empty: all."""
    only: tuple[str, frozenset[str]] | None = None
    """A field, and the values that it must have one of."""


class Pause(NamedTuple):
    """A time in which Botwatch was down, epoch milliseconds."""

    since: int
    until: int


class TrialAlert(msgspec.Struct, kw_only=True, rename="camel", frozen=True):
    """An alert that would have been open."""

    bot: str | None
    host: str | None
    labels: dict[str, str]
    opened_at: datetime
    resolved_at: datetime | None
    """None: it would be open now."""
    severity: Severity
    """The highest that it had."""
    value: float | None
    """The value that opened it."""
    value_text: str | None
    """The same with its unit."""
    is_muted: bool
    """Whether silences or maintenance windows would have kept back every notification."""


class SubjectTrial(msgspec.Struct, kw_only=True, rename="camel"):
    """What would have happened on one bot or host."""

    bot: str | None
    host: str | None
    labels: dict[str, str]
    alerts: int = 0
    muted: int = 0
    """Alerts of which every notification would have been kept back."""
    pending: int = 0
    """How often the condition held, but for less than `for`."""
    total_seconds: float = 0.0
    longest_seconds: float = 0.0
    first_at: datetime | None = None
    last_at: datetime | None = None
    is_open: bool = False


class TrialResult(msgspec.Struct, kw_only=True, rename="camel"):
    """What a rule would have done between two times."""

    start: datetime = msgspec.field(name="from")
    end: datetime = msgspec.field(name="to")
    records: int
    """How many records were evaluated, those before `from` that windows needed included."""
    records_from: datetime | None
    """Time of the first record; the answer does not hold before it. None: there were none."""
    minutes_until: datetime | None = None
    """Until then only the last computed metrics of each minute are stored: shorter excursions are missing."""
    pauses: int = 0
    """How often Botwatch was down meanwhile, which counts neither as absence nor towards `for`."""
    alerts: int
    muted: int
    pending: int
    total_seconds: float
    """Time that alerts were open, summed over subjects."""
    longest_seconds: float
    first_at: datetime | None
    last_at: datetime | None
    subjects_seen: int
    """Bots and hosts (and sets of labels) with a value."""
    subjects: list[SubjectTrial]
    """Those with an alert or a pending state, longest first."""
    subjects_left_out: int
    list_: list[TrialAlert] = msgspec.field(name="list")
    """The alerts, newest first."""
    list_left_out: int


def needed_records(rule: Rule) -> list[RecordQuery]:
    """Return the records that the rule evaluates, and the heartbeats that say that a bot stopped."""
    wanted: dict[type[Record], set[str]] = {}
    whole: set[type[Record]] = set()
    names: set[str] = set()
    for metric in rule.measure.metrics:
        kinds = [kind for kind in EVALUATED_KINDS if any(one.wire == metric for one in metric_fields(kind))]
        for kind in kinds:
            wanted.setdefault(kind, set()).add(metric)
        if metric == CHECK_STATE:
            whole.add(Check)
        elif metric == NET_FLOW:
            whole.add(CashFlow)
        elif metric in KINDS and not kinds:
            whole.add(KINDS[metric])
        names.add(metric)
    found = [RecordQuery(kind) for kind in whole]
    found += [RecordQuery(kind, frozenset(own)) for kind, own in wanted.items() if kind not in whole]
    if not HOST_METRICS.issuperset(rule.measure.metrics):
        found.append(RecordQuery(Metric, only=("name", frozenset(names))))
        if Heartbeat not in whole:
            found.append(RecordQuery(Heartbeat, only=("status", frozenset((STOPPED, RETIRED, UNRETIRED)))))
    return found


def warm_up_ms(rule: Rule) -> int:
    """Return how long before a trial's start the records that it needs begin, milliseconds."""
    return max(MIN_WARM_UP_MS, rule.measure.lookback_ms + rule.for_ms + rule.keep_ms)


class _OpenAlert(msgspec.Struct):
    """An alert of the trial as it is now, and what happened to it."""

    alert: Alert
    severity: Severity
    value: float | None
    is_muted: bool = True


class RuleTrial:
    """Evaluates one rule on records in the order of time.

    Alerts count if they were open after `start`, epoch milliseconds; the records before it are the warm-up.
    """

    def __init__(
        self,
        rule: Rule,
        start: int,
        mute_config: MuteConfig,
        silences: Sequence[Silence],
        pauses: Iterable[Pause] = (),
    ) -> None:
        self._rule = rule
        self._start = start
        self._engine = Engine([rule])
        self._muting = MuteEvaluator(mute_config.without_inhibitions(), silences)
        self._mutes_change_at: datetime | None = None
        self._pauses = sorted(pauses, reverse=True)
        self._paused = 0
        self._alerts: dict[Key, _OpenAlert] = {}
        """Open alerts, and those that resolved last and may be reopened."""
        self._subjects: dict[Subject, SubjectTrial] = {}
        self._newest: list[tuple[datetime, int, TrialAlert]] = []
        """A heap of the newest alerts."""
        self._count = 0
        self._records = 0
        self._first: datetime | None = None
        """Time of the first record."""

    def process(self, records: Iterable[AnyRecord]) -> None:
        """Evaluate records, each at its own timestamp."""
        for record in records:
            at = epoch_ms(record.at)
            if self._first is None:
                self._begin(at)
                self._first = record.at
            while self._pauses and at > self._pauses[-1].since:
                self._pass_pause(self._pauses.pop())
            self._records += 1
            for event in self._engine.process((record,), at):
                self._apply(event)

    def finish(self, now: int) -> TrialResult:
        """Evaluate what is due until `now` without records, and return the result."""
        if self._first is None:
            self._begin(self._start)
        while self._pauses and now > self._pauses[-1].since:
            self._pass_pause(self._pauses.pop())
        self._advance(now)
        self._unmute(from_epoch_ms(now))
        for key, one in self._alerts.items():
            self._store(key.subject, one, from_epoch_ms(now))
        return self._result(from_epoch_ms(now))

    def _begin(self, at: int) -> None:
        self._engine.load_states({}, at)
        self._engine.expect_named_subjects(at)

    def _pass_pause(self, pause: Pause) -> None:
        self._advance(pause.since)
        self._engine.resume_after_gap(pause.since, pause.until)
        self._paused += pause.until > self._start

    def _advance(self, until: int) -> None:
        for event in self._engine.advance_to(until):
            self._apply(event)

    def _apply(self, event: RuleEvent) -> None:
        """Apply a result to the subject's alert, as the evaluator does."""
        step = event.outcome.step
        if step in ("pending", "kept", "updated"):  # no other alert, no other severity
            return
        at = from_epoch_ms(event.at)
        if step == "calmed" and event.at >= self._start:
            self._subject(event.key.subject).pending += 1
        known = self._alerts.get(event.key)
        self._unmute(at)
        transition = next_transition(event, f"alert-{self._count}", "", known.alert if known else None)
        if transition is None:
            return
        if known is None or transition.change == "opened":
            if known:
                self._store(event.key.subject, known, at)
            known = _OpenAlert(transition.alert, transition.alert.severity, event.outcome.value)
            self._alerts[event.key] = known
        known.alert = transition.alert
        known.severity = most_severe(known.severity, transition.alert.severity)
        if known.is_muted and transition.change != "resolved":
            known.is_muted = self._muting.reason_for(known.alert, at) is not None
            self._mutes_change_at = self._muting.next_change(at)

    def _unmute(self, now: datetime) -> None:
        """Notify of open alerts when the silence or maintenance window that muted them has ended by `now`."""
        while self._mutes_change_at is not None and self._mutes_change_at <= now:
            at = self._mutes_change_at
            muted = [one for one in self._alerts.values() if one.is_muted and one.alert.status != "RESOLVED"]
            for one in muted:
                one.is_muted = self._muting.reason_for(one.alert, at) is not None
            self._mutes_change_at = self._muting.next_change(at) if muted else None

    def _store(self, subject: Subject, one: _OpenAlert, now: datetime) -> None:
        """Count an alert that cannot change any more, if it was open after the start."""
        opened, resolved = one.alert.timestamp, one.alert.resolved_at
        start = from_epoch_ms(self._start)
        if resolved is not None and resolved <= start:
            return
        seconds = ((resolved or now) - max(opened, start)).total_seconds()
        counted = self._subject(subject)
        counted.alerts += 1
        counted.muted += one.is_muted
        counted.total_seconds += seconds
        counted.longest_seconds = max(counted.longest_seconds, seconds)
        counted.first_at, counted.last_at = counted.first_at or opened, opened
        counted.is_open = resolved is None
        found = TrialAlert(
            bot=subject.bot,
            host=subject.host,
            labels=dict(subject.labels),
            opened_at=opened,
            resolved_at=resolved,
            severity=one.severity,
            value=one.value,
            value_text=None if one.value is None else format_value(one.value, self._rule.displayed.unit),
            is_muted=one.is_muted,
        )
        self._count += 1
        keep = heappush if len(self._newest) < MAX_ALERTS else heappushpop
        keep(self._newest, (opened, self._count, found))

    def _subject(self, subject: Subject) -> SubjectTrial:
        bot, host, labels = subject
        return self._subjects.setdefault(subject, SubjectTrial(bot=bot, host=host, labels=dict(labels)))

    def _result(self, now: datetime) -> TrialResult:
        subjects = sorted(self._subjects.values(), key=lambda one: (-one.total_seconds, -one.pending))
        return TrialResult(
            start=from_epoch_ms(self._start),
            end=now,
            records=self._records,
            records_from=self._first,
            pauses=self._paused,
            alerts=self._count,
            muted=sum(one.muted for one in subjects),
            pending=sum(one.pending for one in subjects),
            total_seconds=sum(one.total_seconds for one in subjects),
            longest_seconds=max((one.longest_seconds for one in subjects), default=0.0),
            first_at=min((one.first_at for one in subjects if one.first_at), default=None),
            last_at=max((one.last_at for one in subjects if one.last_at), default=None),
            subjects_seen=len(self._engine.states),
            subjects=subjects[:MAX_SUBJECTS],
            subjects_left_out=max(0, len(subjects) - MAX_SUBJECTS),
            list_=[alert for _, _, alert in sorted(self._newest, reverse=True)],
            list_left_out=self._count - len(self._newest),
        )
