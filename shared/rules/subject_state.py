"""Subject states: what each rule says about each bot or host now, from the stored rule states. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, get_args

import msgspec

from shared.rules.engine import Engine
from shared.rules.rule import Rule, evaluate_levels
from shared.rules.rule_state import RuleState, keep_firing_ms
from shared.rules.subject import Key
from shared.schema.alerts import Severity
from shared.schema.formatting import format_value
from shared.schema.timestamps import epoch_ms, from_epoch_ms

State = Literal["firing", "pending", "ok", "no data"]
STATES: tuple[State, ...] = get_args(State)
"""The most urgent first."""


class SubjectState(msgspec.Struct, kw_only=True, rename="camel"):
    """A rule on one bot or host."""

    bot: str | None
    host: str | None
    labels: dict[str, str]
    state: State
    value: float | None = None
    """What the rule compares; None: nothing has arrived."""
    value_text: str | None = None
    """The value with its unit."""
    limit: float | None = None
    """The threshold that the value has met."""
    limit_text: str | None = None
    severity: Severity | None = None
    """Of the open alert, or of the one that would open."""
    since: datetime | None = None
    """When it became pending, or opened last."""
    fires_at: datetime | None = None
    """When a pending alert opens, if the condition still holds."""
    resolves_at: datetime | None = None
    """When a firing one resolves: its value is normal again, and `keepFiringFor` runs."""
    text: str | None = None
    """Text of the newest result of a check."""
    alert: str | None = None
    """ID of the open alert."""
    muted_by: str | None = None
    """Why the alert is muted."""


class _StoredState(msgspec.Struct, array_like=True):
    """The first fields of a `RuleState`; the measure's own state, which may be large, is not decoded."""

    state: msgspec.Raw
    value: float | None = None
    pending_since: int | None = None
    severity: Severity | None = None


_keys = msgspec.json.Decoder(Key)
_stored = msgspec.json.Decoder(tuple[str, _StoredState])


def count_states(stored: Mapping[str, str]) -> dict[str, dict[State, int]]:
    """Return by rule how many bots and hosts are in which state, given the stored rule states by key."""
    found: dict[str, dict[State, int]] = {}
    for name, data in stored.items():
        try:
            rule = _keys.decode(name).rule
            _, state = _stored.decode(data)
        except msgspec.DecodeError:
            continue
        counts = found.setdefault(rule, dict.fromkeys(STATES, 0))
        counts[_state_of(state.severity, state.pending_since, state.value)] += 1
    return found


def subject_states(rule: Rule, stored: Mapping[str, str], now: datetime) -> list[SubjectState]:
    """Return the state of each bot and host of `rule` at `now`, given its stored rule states by key."""
    engine = Engine([rule])
    engine.load_states(stored, epoch_ms(now))
    return [_subject_state(rule, key, one, epoch_ms(now)) for key, one in engine.states.items()]


def urgency(state: SubjectState) -> tuple[int, float, str]:
    """Return the sort key of a state: firing before pending, those that fire first before the others."""
    moment = state.fires_at or state.since
    return STATES.index(state.state), moment.timestamp() if moment else 0.0, state.bot or state.host or ""


def _subject_state(rule: Rule, key: Key, stored: RuleState, now: int) -> SubjectState:
    bot, host, labels = key.subject
    value = rule.measure.value(stored.state, now)
    found = SubjectState(
        bot=bot,
        host=host,
        labels=dict(labels),
        state=_state_of(stored.severity, stored.pending_since, value),
        value=value,
        text=stored.text or None,
    )
    if stored.severity is not None:
        found.severity, found.limit = stored.severity, stored.threshold
        found.since = from_epoch_ms(stored.opened[-1]) if stored.opened else None
        if stored.fine_since is not None:
            found.resolves_at = from_epoch_ms(stored.fine_since + keep_firing_ms(stored, rule))
    elif stored.pending_since is not None:
        verdict = evaluate_levels(rule.levels, rule.operator, value)
        found.severity, found.limit = verdict or (rule.levels[-1].severity, rule.levels[-1].threshold)
        found.since = from_epoch_ms(stored.pending_since)
        found.fires_at = from_epoch_ms(stored.pending_since + rule.for_ms)
    unit = rule.displayed.unit
    if value is not None:
        found.value_text = format_value(value, unit)
    if found.limit is not None:
        found.limit_text = format_value(found.limit, unit)
    return found


def _state_of(severity: Severity | None, pending_since: int | None, value: float | None) -> State:
    if severity is not None:
        return "firing"
    if pending_since is not None:
        return "pending"
    return "no data" if value is None else "ok"
