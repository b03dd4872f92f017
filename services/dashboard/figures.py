"""What is known of each bot and host now, made from latest records. Pure.

An undefined figure is there, as None.
"""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from shared.schema.definitions import DEFINITIONS
from shared.schema.reasons import in_words
from shared.schema.records import (
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

Fields = dict[str, object]

PERFORMANCE_FIGURES = tuple(DEFINITIONS)
"""By their names on the wire; `disagreements` counts figures and is none of them."""

_MOMENTS: dict[type[Record], str] = {Order: "lastOrderAt", Fill: "lastFillAt", Heartbeat: "lastHeartbeatAt"}


def all_fields(message: msgspec.Struct) -> Fields:
    """Return every field of a record or alert under its wire name, undefined ones as None."""
    return {field.encode_name: getattr(message, field.name) for field in msgspec.structs.fields(message)}


def of_bots(records: Iterable[AnyRecord], now: datetime) -> dict[str, Fields]:
    """Return each bot's latest performance record with its moments, by name.

    What a bot does not report itself is taken from the computed record: `computed` names those figures,
    `lowConfidence` those of them that few returns are behind, `undefined` says why what is still None is so.
    `differences` are the figures that the bot reports otherwise than they are in `computedFigures`.
    """
    by_bot: dict[str, list[AnyRecord]] = {}
    for record in records:
        if not isinstance(record, HostRecord):
            by_bot.setdefault(record.bot, []).append(record)
    return {bot: _of_bot(bot, by_bot[bot], now) for bot in sorted(by_bot)}


def _of_bot(bot: str, records: list[AnyRecord], now: datetime) -> Fields:
    last_seen = max((record.at for record in _from_bot(records)), default=None)
    found: Fields = {
        "bot": bot,
        **_performance([record for record in records if isinstance(record, Performance)]),
        "lastSeen": last_seen,
        "ageSeconds": _age(last_seen, now),
        "equity": None,
        "equityAt": None,
        **dict.fromkeys(_MOMENTS.values()),
        "heartbeatStatus": None,
        "lastEvent": None,
    }
    metrics: Fields = {}
    for record in records:
        if name := _MOMENTS.get(type(record)):
            found[name] = record.at
        match record:
            case Equity():
                found |= {"equity": record.equity, "equityAt": record.at}
            case Heartbeat():
                found["heartbeatStatus"] = record.status
            case Event():
                found["lastEvent"] = all_fields(record)
            case Metric():
                metrics[record.name] = {"value": record.value, "unit": record.unit, "timestamp": record.at}
    return {**found, "metrics": metrics}


def _from_bot(records: Iterable[AnyRecord]) -> Iterable[AnyRecord]:
    """Leave out what the recorder computed: only the bot's own records show that it lives."""
    return (r for r in records if not (isinstance(r, Performance) and r.source == "computed"))


def _performance(records: Iterable[Performance]) -> Fields:
    by_source = {record.source: record for record in records}
    reported, computed = by_source.get("reported"), by_source.get("computed")
    own, made = _figures(reported), _figures(computed)
    shown = {name: value if value is not None else made[name] for name, value in own.items()}
    filled = [name for name in PERFORMANCE_FIGURES if own[name] is None and made[name] is not None]
    base = reported or computed
    return {
        **shown,
        "timestamp": base and base.timestamp,
        "source": base and base.source,
        "labels": base.labels if base else {},
        "computed": filled,
        "computedAt": computed and computed.timestamp,
        "computedFigures": made if computed else None,
        **_remarks(computed, shown, filled),
    }


def _figures(record: Performance | None) -> Fields:
    known = all_fields(record) if record else {}
    return {name: known.get(name) for name in PERFORMANCE_FIGURES}


def _remarks(computed: Performance | None, shown: Fields, filled: list[str]) -> Fields:
    """Return what the recorder says of the figures that are `shown`; the `filled` ones are its own."""
    if computed is None:
        return {"undefined": {}, "lowConfidence": {}, "differences": {}, "disagreements": None}
    return {
        "undefined": {
            name: {"reason": why.reason, "n": why.n, "text": in_words(why)}
            for name, why in computed.undefined.items()
            if name in shown and shown[name] is None
        },
        "lowConfidence": {name: n for name, n in computed.low_confidence.items() if name in filled},
        "differences": computed.differences,
        "disagreements": computed.disagreements,
    }


def of_hosts(records: Iterable[AnyRecord], now: datetime) -> dict[str, Fields]:
    """Return each host's latest health record, by name."""
    hosts = {record.host: record for record in records if isinstance(record, Health)}
    return {
        name: {**all_fields(record), "ageSeconds": _age(record.at, now)}
        for name, record in sorted(hosts.items())
    }


def of_checks(records: Iterable[AnyRecord], now: datetime) -> dict[str, dict[str, Fields]]:
    """Return each host's latest checks, by host and name."""
    checks = [record for record in records if isinstance(record, Check)]
    found: dict[str, dict[str, Fields]] = {}
    for record in sorted(checks, key=lambda check: (check.host, check.check)):
        known = {**all_fields(record), "ageSeconds": _age(record.at, now)}
        found.setdefault(record.host, {})[record.check] = known
    return found


def kinds(records: Iterable[AnyRecord]) -> dict[str, dict[str, datetime]]:
    """Return when each bot's latest record of each kind was, by bot."""
    found: dict[str, dict[str, datetime]] = {}
    for record in records:
        if not isinstance(record, HostRecord):
            moments = found.setdefault(record.bot, {})
            moments[record.kind] = max(record.at, moments.get(record.kind, record.at))
    return dict(sorted(found.items()))


def total(bots: Iterable[Fields], figure: str) -> float | None:
    """Sum a figure over the bots that have it; None when none has."""
    values = [value for bot in bots if isinstance(value := bot[figure], int | float)]
    return sum(values) if values else None


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(0.0, (now - moment).total_seconds())
