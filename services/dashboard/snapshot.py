"""What is known of each bot and host now, made from latest records. Pure.

An undefined figure is there, as None.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import NamedTuple

import msgspec

from shared.schema.accounts import account_currency
from shared.schema.metric_definitions import DEFINITIONS
from shared.schema.records import (
    RETIRED,
    UNRETIRED,
    AnyRecord,
    Check,
    Equity,
    Event,
    Fill,
    Health,
    Heartbeat,
    HostRecord,
    Metric,
    Order,
    Performance,
    Record,
)
from shared.schema.undefined_reasons import describe_undefined, describe_warning

Fields = dict[str, object]

PERFORMANCE_METRICS = tuple(DEFINITIONS)
"""By their names on the wire; `disagreements` counts figures and is none of them."""

_TIME_FIELDS: dict[type[Record], str] = {
    Order: "lastOrderAt",
    Fill: "lastFillAt",
    Heartbeat: "lastHeartbeatAt",
}


def wire_fields(message: msgspec.Struct) -> Fields:
    """Return every field of a record or alert under its wire name, undefined ones as None."""
    return {wire: getattr(message, name) for wire, name in _names(type(message))}


@cache
def _names(kind: type[msgspec.Struct]) -> list[tuple[str, str]]:
    """Return the fields of a struct, on the wire and in Python; msgspec takes milliseconds to find them."""
    return [(field.encode_name, field.name) for field in msgspec.structs.fields(kind)]


def group_by_bot(records: Iterable[AnyRecord]) -> dict[str, list[AnyRecord]]:
    """Return the records of each bot, in the order of the bots' names."""
    found: dict[str, list[AnyRecord]] = {}
    for record in records:
        if not isinstance(record, HostRecord):
            found.setdefault(record.bot, []).append(record)
    return dict(sorted(found.items()))


def bot_snapshots(
    records: Iterable[AnyRecord], now: datetime, configured: Callable[[str], str | None] = lambda _: None
) -> dict[str, Fields]:
    """Return each bot's latest performance record with its moments, by name.

    What a bot does not report itself is taken from the computed record: `computed` names those figures,
    `lowConfidence` those of them that few returns are behind, `undefined` says why what is still None is so.
    `differences` are the figures that the bot reports otherwise than they are in `computedFigures`.
    `configured` returns the currency of a bot's settings.
    """
    return {bot: bot_snapshot(bot, own, now, configured(bot)) for bot, own in group_by_bot(records).items()}


def bot_snapshot(bot: str, records: list[AnyRecord], now: datetime, configured: str | None = None) -> Fields:
    """Return one bot's latest figures, as `bot_snapshots` does; `configured` is its settings' currency."""
    last_seen = last_seen_at(records)
    found: Fields = {
        "bot": bot,
        "currency": account_currency(records) or configured,
        **_performance([record for record in records if isinstance(record, Performance)]),
        "lastSeen": last_seen,
        "ageSeconds": _age(last_seen, now),
        "equity": None,
        "equityAt": None,
        **dict.fromkeys(_TIME_FIELDS.values()),
        "heartbeatStatus": None,
        "retired": is_retired(records),
        "lastEvent": None,
    }
    metrics: dict[str, list[Metric]] = {}
    for record in records:
        if name := _TIME_FIELDS.get(type(record)):
            found[name] = record.at
        match record:
            case Equity():
                found |= {"equity": record.equity, "equityAt": record.at}
            case Heartbeat():
                found["heartbeatStatus"] = record.status
            case Event():
                found["lastEvent"] = wire_fields(record)
            case Metric():
                metrics.setdefault(record.name, []).append(record)
    return {**found, "metrics": {name: _custom_metrics(known) for name, known in metrics.items()}}


def _custom_metrics(records: Sequence[Metric]) -> Fields:
    """Return the latest value of a metric; where there are labels `series` has one for each set of them."""
    latest = _custom_metric(max(records, key=lambda record: record.at))
    if any(record.labels for record in records):
        latest["series"] = [_custom_metric(record) | {"labels": record.labels} for record in records]
    return latest


def _custom_metric(record: Metric) -> Fields:
    return {"value": record.value, "unit": record.unit, "timestamp": record.at}


def last_seen_at(records: Iterable[AnyRecord]) -> datetime | None:
    """Return when a bot was last seen: computed figures and an operator's statements do not count."""
    return max((record.at for record in records if _is_from_bot(record)), default=None)


def _is_from_bot(record: AnyRecord) -> bool:
    if isinstance(record, Heartbeat):
        return record.status not in (RETIRED, UNRETIRED)
    return not (isinstance(record, Performance) and record.source == "computed")


def is_retired(records: Sequence[AnyRecord]) -> bool:
    """Say whether a bot is retired: its latest heartbeat says so, and no later record ended that."""
    beat = next((record for record in records if isinstance(record, Heartbeat)), None)
    if beat is None or beat.status != RETIRED:
        return False
    last_seen = last_seen_at(records)
    return last_seen is None or last_seen <= beat.at


def shown_value(records: Iterable[AnyRecord], name: str) -> float | None:
    """Return the metric (Python name) that `bot_snapshot` shows: the reported one, else the computed one."""
    found = {record.source: getattr(record, name) for record in records if isinstance(record, Performance)}
    reported = found.get("reported")
    return found.get("computed") if reported is None else reported


def _performance(records: Iterable[Performance]) -> Fields:
    by_source = {record.source: record for record in records}
    reported, computed = by_source.get("reported"), by_source.get("computed")
    own, made = _metric_values(reported), _metric_values(computed)
    shown = {name: value if value is not None else made[name] for name, value in own.items()}
    filled = [name for name in PERFORMANCE_METRICS if own[name] is None and made[name] is not None]
    base = reported or computed
    return {
        **shown,
        "timestamp": base and base.timestamp,
        "source": base and base.source,
        "labels": base.labels if base else {},
        "computed": filled,
        "computedAt": computed and computed.timestamp,
        "computedFigures": made if computed else None,
        **_metric_notes(computed, shown, filled),
    }


def _metric_values(record: Performance | None) -> Fields:
    if record is None:
        return dict.fromkeys(_METRIC_NAMES)
    # One call for all of them: of thousands of bots this is what takes the time.
    return dict(zip(_METRIC_NAMES, _metric_attributes(record), strict=True))


def _metric_notes(computed: Performance | None, shown: Fields, filled: list[str]) -> Fields:
    """Return what the recorder says of the figures that are `shown`; the `filled` ones are its own."""
    if computed is None:
        return dict(_NO_NOTES)
    return {
        "undefined": {
            name: {"reason": why.reason, "n": why.n, "text": describe_undefined(why)}
            for name, why in computed.undefined.items()
            if name in shown and shown[name] is None
        },
        "lowConfidence": {name: n for name, n in computed.low_confidence.items() if name in filled},
        "differences": computed.differences,
        "disagreements": computed.disagreements,
        "benchmark": computed.benchmark,
        "tradeMatching": computed.trade_matching,
        "warnings": [{"code": code, "text": describe_warning(code)} for code in computed.warnings],
    }


_NO_NOTES: Fields = {
    "undefined": {},
    "lowConfidence": {},
    "differences": {},
    "disagreements": None,
    "benchmark": None,
    "tradeMatching": None,
    "warnings": [],
}

_METRIC_NAMES, _ATTRIBUTES = zip(
    *((wire, name) for wire, name in _names(Performance) if wire in PERFORMANCE_METRICS), strict=True
)
_metric_attributes = attrgetter(*_ATTRIBUTES)


def host_snapshots(records: Iterable[AnyRecord], now: datetime) -> dict[str, Fields]:
    """Return each host's latest health record, by name."""
    hosts = {record.host: record for record in records if isinstance(record, Health)}
    return {
        name: {**wire_fields(record), "ageSeconds": _age(record.at, now)}
        for name, record in sorted(hosts.items())
    }


def check_snapshots(records: Iterable[AnyRecord], now: datetime) -> dict[str, dict[str, Fields]]:
    """Return each host's latest checks, by host and name."""
    checks = [record for record in records if isinstance(record, Check)]
    found: dict[str, dict[str, Fields]] = {}
    for record in sorted(checks, key=lambda check: (check.host, check.check)):
        known = {**wire_fields(record), "ageSeconds": _age(record.at, now)}
        found.setdefault(record.host, {})[record.check] = known
    return found


class BotSeen(NamedTuple):
    """When a bot was seen."""

    bot: str
    last_seen: datetime | None
    age_seconds: float | None
    kinds: dict[str, datetime]
    """When its latest record of each kind was."""
    retired: bool


def bot_summary(bot: str, records: list[AnyRecord], now: datetime) -> BotSeen:
    """Return when a bot was seen, and when its latest record of each kind was."""
    moments: dict[str, datetime] = {}
    for record in records:
        moments[record.kind] = max(record.at, moments.get(record.kind, record.at))
    last_seen = last_seen_at(records)
    return BotSeen(bot, last_seen, _age(last_seen, now), moments, is_retired(records))


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(0.0, (now - moment).total_seconds())
