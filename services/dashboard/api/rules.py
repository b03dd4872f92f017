"""Rules over HTTP: what is loaded, what each says about every bot and host, and trials on the past."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

import msgspec
from flask import Blueprint, Response, g, request

from services.dashboard.api.parameters import QueryParameters
from services.dashboard.api.queries import decode_body
from services.dashboard.data_sources import DataSources
from services.dashboard.documents import NOTIFICATIONS, PERFORMANCE_LOGGER, Place
from shared.rules.description import condition_of, condition_text, describe_levels
from shared.rules.loader import rule_from_condition
from shared.rules.rule import Rule
from shared.rules.rule_index import HOST_METRICS
from shared.rules.subject import alert_key
from shared.rules.subject_state import STATES, State, SubjectState, count_states, subject_states, urgency
from shared.rules.trial import TrialResult
from shared.runtime.clock import Clock
from shared.runtime.config.drafts import parse_draft
from shared.runtime.config.mute_config import parse_mute_config
from shared.runtime.config.rules import load_rules
from shared.runtime.web.app import json_error, json_response
from shared.runtime.web.csv import csv_response
from shared.runtime.web.openapi import Parameter, describe
from shared.schema import redis_keys
from shared.schema.alerts import Category, Severity
from shared.schema.durations import format_duration_ms
from shared.schema.faults import did_you_mean
from shared.schema.patterns import glob_matches
from shared.schema.records import BotRecord
from shared.schema.rule_status import RuleStatus
from shared.schema.rule_trials import JOB, TrialRequest, TrialRun
from shared.store.alerts import count_by_rule, open_alerts
from shared.store.rule_state import load_rule_states
from shared.store.rule_trials import read_trial, request_trial
from shared.store.silences import current_silences

TAG = "Rules"
MAX_SUBJECTS = 1000
"""Limit of the bots and hosts that a rule's page lists, the most urgent first."""
PERIODS = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30)}
CSV_COLUMNS = (
    "name", "levels", "category", "place", "bots", "labels", "runbook", "firing", "pending", "ok", "noData",
    "firedDay", "firedWeek", "firedMonth", "warning",
)  # fmt: skip


class Counts(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """How many bots and hosts (and sets of labels) are in which state."""

    firing: int
    pending: int
    ok: int
    no_data: int


class Fired(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """How many alerts opened in the last 24 hours, 7 days and 30 days."""

    day: int
    week: int
    month: int


class LoadedRule(RuleStatus, kw_only=True, rename="camel"):
    """A rule that the evaluator has loaded; one that the documents no longer have lacks what they say."""

    levels: list[str] = msgspec.field(default_factory=list)
    """In words, a line per severity: `MEDIUM if Drawdown max > 20%, for 5m`."""
    severity: Severity | None = None
    """The highest that it can have."""
    category: Category | None = None
    for_: str | None = msgspec.field(default=None, name="for")
    """How long the condition must hold before an alert opens, such as `5m`."""
    keep_firing_for: str | None = None
    bots: list[str] = msgspec.field(default_factory=list)
    """Names or patterns of bots or hosts; empty: all."""
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    """Labels that a record must have."""
    runbook: str | None = None
    description: str = ""
    """Template of the alert's message."""
    place: Place | None = None
    """Where it is configured; null: it is built in."""
    states: Counts
    fired: Fired


class RuleMute(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A silence or a maintenance window that mutes alerts of a rule, on all or some bots and hosts."""

    name: str
    """Of a window its name, of a silence its comment."""
    silence: str | None
    """ID of the silence."""
    place: Place | None
    """Where the window is configured."""
    is_active: bool
    next_change_at: datetime | None
    """When it begins or ends."""


class RuleDetail(LoadedRule, kw_only=True, rename="camel"):
    """A loaded rule with what it says about each bot and host."""

    unit: str
    """Unit of the value and the limit of each subject."""
    measure: str
    """What is compared with the limit, in words."""
    written: str
    """The condition as written in its file, JSON; of a built-in rule, one that replaces it unchanged."""
    subject_states: list[SubjectState]
    """The most urgent first."""
    subjects_left_out: int
    mutes: list[RuleMute]


class Trial(TrialRun, kw_only=True, rename="camel"):
    """A trial of a rule on the past, and its result once it is done."""

    result: TrialResult | None


def add_rules(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    """Add the routes `/rules`."""
    _add_loaded(api, sources, clock)
    _add_trials(api, sources, clock)


def _add_loaded(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    @api.get("/rules")
    @describe(
        "List the loaded rules",
        tag=TAG,
        answers=list[LoadedRule],
        csv=True,
        description="`503` until the evaluator has published their status.",
    )
    def rules() -> Response:
        read = QueryParameters(request.args, ("format",))
        is_csv = read.is_csv()
        read.check()
        status = sources.rules()
        if status is None:
            return _unknown_status()
        found = _loaded_rules(sources, status, clock())
        if is_csv:
            return csv_response(map(_csv_row, found), CSV_COLUMNS, "rules")
        return json_response(found)

    @api.get("/rules/<path:name>")
    @describe(
        "Get a rule and its state on every bot and host",
        tag=TAG,
        answers=RuleDetail,
        errors=(HTTPStatus.NOT_FOUND,),
        path=(Parameter("name", str, "The rule."),),
        description="States are at most five seconds old.",
    )
    def rule_detail(name: str) -> Response:
        status = sources.rules()
        if status is None:
            return _unknown_status()
        now = clock()
        rule = _find(sources, name)
        found = next((one for one in _loaded_rules(sources, status, now, name) if one.name == name), None)
        if rule is None or found is None:
            return _no_rule(name, [one.name for one in status])
        return json_response(_detail(sources, rule, found, now))


def _add_trials(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    @api.post("/rules/try")
    @describe(
        "Try a rule on the past",
        tag=TAG,
        answers=Trial,
        status=HTTPStatus.ACCEPTED,
        body=TrialRequest,
        errors=(HTTPStatus.NOT_FOUND,),
        description="The jobs part evaluates it on the stored records; it cancels an unfinished one.",
    )
    def start_rule_trial() -> Response:
        given = decode_body(request.get_data(), TrialRequest, '{"rule": "name", "days": 30}')
        if given.rule is not None:
            rule = _find(sources, given.rule)
            if rule is None:
                return _no_rule(given.rule, [one.name for one in load_rules(sources.documents)])
        else:
            rule = rule_from_condition(parse_draft(given.draft or ""))
        run = TrialRun(
            id=uuid.uuid4().hex,
            rule=rule.name,
            is_draft=given.rule is None,
            condition=condition_text(condition_of(rule)),
            days=given.days,
            requested_by=g.identity.name,
            requested_at=clock(),
        )
        with sources.health.write() as connection:
            request_trial(connection, run)
        sources.redis.sadd(redis_keys.JOB_REQUESTS, JOB)
        response = json_response(_trial(run, None), HTTPStatus.ACCEPTED)
        response.headers["Location"] = f"{request.path}/{run.id}"
        return response

    @api.get("/rules/try/<trial_id>")
    @describe(
        "Get a trial and its result",
        tag=TAG,
        answers=Trial,
        errors=(HTTPStatus.NOT_FOUND,),
        description="Results are kept for seven days.",
    )
    def rule_trial(trial_id: str) -> Response:
        with sources.health.read() as connection:
            found = read_trial(connection, trial_id)
        if found is None:
            return json_error(HTTPStatus.NOT_FOUND, f"no trial with ID {trial_id!r}")
        return json_response(_trial(*found))


def _trial(run: TrialRun, result: TrialResult | None) -> Trial:
    return Trial(**msgspec.structs.asdict(run), result=result)


def _find(sources: DataSources, name: str) -> Rule | None:
    return next((rule for rule in load_rules(sources.documents) if rule.name == name), None)


def _unknown_status() -> Response:
    reason = "rule status unknown: the evaluator has not published it"
    return json_error(HTTPStatus.SERVICE_UNAVAILABLE, reason)


def _no_rule(name: str, known: Sequence[str]) -> Response:
    return json_error(HTTPStatus.NOT_FOUND, f"no rule {name!r}{did_you_mean(name, known)}")


def _loaded_rules(
    sources: DataSources, status: Sequence[RuleStatus], now: datetime, name: str | None = None
) -> list[LoadedRule]:
    """Return the rules that the evaluator has loaded, or the one of that name."""
    rules = {rule.name: rule for rule in load_rules(sources.documents)}
    with sources.health.read() as connection:
        states = count_states(load_rule_states(connection, name))
        fired = {period: count_by_rule(connection, now - span) for period, span in PERIODS.items()}
    return [
        _loaded_rule(
            one,
            rules.get(one.name),
            states.get(one.name, {}),
            {period: counts.get(one.name, 0) for period, counts in fired.items()},
        )
        for one in status
        if name in (None, one.name)
    ]


def _loaded_rule(
    status: RuleStatus, rule: Rule | None, states: Mapping[State, int], fired: Mapping[str, int]
) -> LoadedRule:
    firing, pending, ok, no_data = (states.get(state, 0) for state in STATES)
    found = LoadedRule(
        **msgspec.structs.asdict(status),
        states=Counts(firing=firing, pending=pending, ok=ok, no_data=no_data),
        fired=Fired(**fired),
    )
    if rule is None:
        return found
    file, _, path = rule.place.partition(": ")
    return msgspec.structs.replace(
        found,
        levels=describe_levels(rule),
        severity=rule.levels[0].severity,
        category=rule.category,
        for_=format_duration_ms(rule.for_ms) if rule.for_ms else None,
        keep_firing_for=format_duration_ms(rule.keep_ms) if rule.keep_ms else None,
        bots=list(rule.bots),
        labels=dict(rule.labels),
        runbook=rule.runbook,
        description=rule.description,
        place=Place(file, path) if file else None,
    )


def _detail(sources: DataSources, rule: Rule, loaded: LoadedRule, now: datetime) -> RuleDetail:
    with sources.health.read() as connection:
        states = subject_states(rule, load_rule_states(connection, rule.name), now)
        alerts = {alert_key(one): one for one in open_alerts(connection) if one.details.rule == rule.name}
    by_subject = {(key.subject.name, key.subject.labels): alert for key, alert in alerts.items()}
    for state in states:
        alert = by_subject.get((state.bot or state.host or "", tuple(sorted(state.labels.items()))))
        if alert:
            state.alert, state.muted_by = alert.id, alert.details.muted_by
    states += _without_data(sources, rule, {state.bot or state.host for state in states}, now)
    states.sort(key=urgency)
    return RuleDetail(
        **msgspec.structs.asdict(loaded),
        unit=rule.displayed.unit.name,
        measure=rule.displayed.label,
        written=_written(sources, rule),
        subject_states=states[:MAX_SUBJECTS],
        subjects_left_out=max(0, len(states) - MAX_SUBJECTS),
        mutes=list(_mutes(sources, rule, now)),
    )


def _without_data(
    sources: DataSources, rule: Rule, seen: set[str | None], now: datetime
) -> Iterator[SubjectState]:
    """Yield the known bots or hosts that the rule applies to and of which no value has arrived."""
    if rule.labels:  # whether it applies to a bot depends on labels that no record had
        return
    about_hosts = HOST_METRICS.issuperset(rule.measure.metrics)
    names = {
        one.subject
        for one in sources.read_current(now).records
        if isinstance(one, BotRecord) != about_hosts and rule.may_apply_to(one.subject)
    }
    for name in sorted(names - seen):
        bot, host = (None, name) if about_hosts else (name, None)
        yield SubjectState(bot=bot, host=host, labels={}, state="no data")


def _written(sources: DataSources, rule: Rule) -> str:
    """Return the condition as it is in the document, references such as `${NAME}` included."""
    file, _, path = rule.place.partition(": ")
    if file == PERFORMANCE_LOGGER:
        try:
            document: Any = sources.written_documents[file]
            index = int(path.partition("[")[2].removesuffix("]"))
            raw = document["alerting"]["conditions"][index]
        except (KeyError, IndexError, TypeError, ValueError):
            return condition_text(condition_of(rule))
        return msgspec.json.format(msgspec.json.encode(raw), indent=2).decode()
    return condition_text(condition_of(rule))


def _mutes(sources: DataSources, rule: Rule, now: datetime) -> Iterator[RuleMute]:
    """Yield the maintenance windows and silences that can match an alert of the rule."""
    known = {"alertname": rule.name, "category": rule.category, "metric": rule.metric}
    for index, window in enumerate(parse_mute_config(sources.documents).windows):
        if any(
            name in known and not any(glob_matches(pattern, known[name]) for pattern in patterns)
            for name, patterns in window.match
        ):
            continue
        spans = list(window.when.spans_around(now))
        moments = [moment for span in spans for moment in span if moment > now]
        if moments:
            yield RuleMute(
                name=window.name,
                silence=None,
                place=Place(NOTIFICATIONS, f"maintenance[{index}]"),
                is_active=any(span.start <= now < span.end for span in spans),
                next_change_at=min(moments),
            )
    with sources.health.read() as connection:
        silences = current_silences(connection, now)
    for silence in silences:
        if any(one.name in known and not one.matches(known) for one in silence.matchers):
            continue
        is_active = silence.state(now) == "active"
        yield RuleMute(
            name=silence.comment or f"by {silence.created_by}",
            silence=silence.id,
            place=None,
            is_active=is_active,
            next_change_at=silence.ends_at if is_active else silence.starts_at,
        )


def _csv_row(rule: LoadedRule) -> Mapping[str, object]:
    states, fired = rule.states, rule.fired
    return {
        "name": rule.name,
        "levels": "; ".join(rule.levels),
        "category": rule.category,
        "place": f"{rule.place.file}: {rule.place.path}" if rule.place else "built in",
        "bots": " ".join(rule.bots),
        "labels": " ".join(f"{name}={pattern}" for name, pattern in rule.labels.items()),
        "runbook": rule.runbook,
        "firing": states.firing,
        "pending": states.pending,
        "ok": states.ok,
        "noData": states.no_data,
        "firedDay": fired.day,
        "firedWeek": fired.week,
        "firedMonth": fired.month,
        "warning": rule.warning,
    }
