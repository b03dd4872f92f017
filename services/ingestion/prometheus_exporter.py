"""Export the latest records to Prometheus, from Redis, so that every worker returns the same.

The number of series has a bound, whatever is sent. What is left out does not change from scrape to scrape:
Prometheus pays for every series that it has ever seen.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError

from shared.runtime import clock
from shared.runtime.exposition import GaugeLines, label_text
from shared.runtime.redis.event_counts import BotEvents, read_event_counts
from shared.runtime.redis.latest_values import subject_key
from shared.runtime.redis.log_trim import FORGOTTEN_AFTER
from shared.runtime.redis.record_log import RecordLog
from shared.schema import records
from shared.schema.metric_definitions import DEFINITIONS
from shared.schema.units import MetricField, metric_fields

MAX_SUBJECTS = 2000
"""How many bots, and how many hosts, have samples: the first by name."""
MAX_METRICS_PER_BOT = 200
"""A bot with more metric records of other names or labels has no sample of any: which ones would change."""
MAX_CHECKS_PER_HOST = 200
TARGET_LABELS = ("app", "instance", "job", "part")
"""Labels that Prometheus gives a target: with `honor_labels` those of a sample would replace them."""

LIMITED: Mapping[str, tuple[int, type[records.AnyRecord], str]] = MappingProxyType(
    {
        "bot": (MAX_METRICS_PER_BOT, records.Metric, "botwatch_bot_metric"),
        "host": (MAX_CHECKS_PER_HOST, records.Check, "botwatch_check"),
    }
)
"""Records that a bot or a host may have any number of: how many have samples, and in which family."""
R = TypeVar("R", bound=records.AnyRecord)


@dataclass(slots=True)
class Subject:
    """A bot or a host with its latest records."""

    kind: str
    name: str
    seen_at: datetime
    newest: records.AnyRecord | None = None
    latest: list[records.AnyRecord] = field(default_factory=list)

    def has_labels(self) -> bool:
        """Return whether any record has labels."""
        return any(record.labels for record in self.latest)


class RedisDependentCollector(Collector):
    """Export another collector's metrics, and none while Redis is down: an alert rule tests their absence."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def collect(self) -> Iterable[Metric]:
        """Return all metrics of the other collector, or none."""
        try:
            return list(self._collector.collect())
        except RedisError:
            return []


class LatestMetricsCollector(Collector):
    """Gauges of the latest record per bot and host; undefined metrics have no sample."""

    def __init__(self, redis: Redis, stale_seconds: float, now: clock.Clock = clock.now) -> None:
        self._redis = redis
        self._log = RecordLog(redis)
        self._stale = timedelta(seconds=stale_seconds)
        self._now = now

    def collect(self) -> Iterable[Metric]:
        """Read the latest records and turn them into metric families."""
        latest, events = self._log.latest().values(), read_event_counts(self._redis)
        return metric_families(latest, self._now(), self._stale, events)


def metric_families(
    latest: Iterable[records.AnyRecord],
    now: datetime,
    stale: timedelta,
    events: Mapping[BotEvents, int] = MappingProxyType({}),
) -> Iterator[Metric]:
    """Build the metric families of `latest`, in base units; `events` counts those of a bot and level.

    A bot or host that has not reported for `stale` has only the time of its latest record: metrics that no
    longer change would look current.
    """
    subjects, dropped = _without_surplus(_by_subject(latest, now - FORGOTTEN_AFTER))
    fresh = [subject for subject in subjects if now - subject.seen_at <= stale]
    known = [record for subject in fresh for record in subject.latest]
    bots = [subject for subject in fresh if subject.kind == "bot"]
    yield from _performance(_of_type(known, records.Performance), _of_type(known, records.Equity))
    hosts = [(one, label_text({"host": one.host})) for one in _of_type(known, records.Health)]
    yield from _gauges("botwatch_host", ["host"], metric_fields(records.Health), hosts)
    yield from _checks(_of_type(known, records.Check))
    yield _metrics(_of_type(known, records.Metric))
    yield _bot_info(bots)
    yield _events({bot.name for bot in bots}, events)
    yield _last_seen(subject for subject in subjects if subject.kind == "bot")
    yield _dropped(dropped)


def _by_subject(latest: Iterable[records.AnyRecord], since: datetime) -> list[Subject]:
    """Return the bots and hosts by name, with their records of that time and later."""
    found: dict[tuple[str, str], Subject] = {}
    for record in latest:
        at = record.at
        if at >= since:
            key = subject_key(record)
            subject = found.get(key)
            if subject is None:
                subject = found[key] = Subject(*key, at)
            subject.latest.append(record)
            if at >= subject.seen_at:
                subject.seen_at, subject.newest = at, record
    return [found[key] for key in sorted(found)]


def _without_surplus(subjects: Iterable[Subject]) -> tuple[list[Subject], dict[str, int]]:
    """Return the subjects with the records that may have samples, and how many are left out by family."""
    kept: list[Subject] = []
    dropped = {"botwatch_bot": 0, "botwatch_host": 0, "botwatch_bot_metric": 0, "botwatch_check": 0}
    for kind, of_kind in groupby(subjects, key=attrgetter("kind")):
        for number, subject in enumerate(of_kind):
            own = subject.latest
            if number >= MAX_SUBJECTS:
                dropped[f"botwatch_{kind}"] += len(own)
                continue
            kept.append(subject)
            most, type_, family = LIMITED[kind]
            if len(own) > most and (surplus := len(_of_type(own, type_))) > most:
                dropped[family] += surplus
                subject.latest = [record for record in own if not isinstance(record, type_)]
    return kept, dropped


def _of_type(known: Iterable[records.AnyRecord], wanted: type[R]) -> list[R]:
    return [record for record in known if isinstance(record, wanted)]


def _performance(
    performance: Collection[records.Performance], equity: Collection[records.Equity]
) -> Iterator[Metric]:
    figures = [(one, label_text({"bot": one.bot, "source": one.source})) for one in performance]
    yield from _gauges("botwatch_bot", ["bot", "source"], metric_fields(records.Performance), figures)
    worth = next(figure for figure in metric_fields(records.Equity) if figure.wire == "equity")
    worths = [(one, label_text({"bot": one.bot})) for one in equity]
    yield from _gauges("botwatch_bot", ["bot"], [worth], worths)


def _metrics(known: Iterable[records.Metric]) -> Metric:
    """Return the values of metric records with their labels; a reserved name gets the prefix `label_`."""
    own = ("bot", "name", "unit")
    reserved = {*own, *TARGET_LABELS}
    text = "Latest value of a metric record, with the record's labels."
    family = GaugeLines("botwatch_bot_metric", text, own)
    for record in known:
        labels = {
            f"label_{name}" if name in reserved or name.startswith("__") else name: value
            for name, value in record.labels.items()
        }
        labels |= {"bot": record.bot, "name": record.name, "unit": record.unit}
        family.add(label_text(labels), record.value)
    return family


def _bot_info(bots: Iterable[Subject]) -> Metric:
    """Return one sample a bot with where it trades and what, of its latest record that says so."""
    info = GaugeLines(
        "botwatch_bot_info",
        "Always 1. Labels venue (or exchange) and strategy of the latest record of a bot with any of them.",
        ["bot", "strategy", "venue"],
    )
    for bot in bots:
        venue = strategy = ""
        for record in sorted(bot.latest, key=attrgetter("at"), reverse=True) if bot.has_labels() else ():
            found = record.labels
            venue, strategy = found.get("venue") or found.get("exchange", ""), found.get("strategy", "")
            if venue or strategy:
                break
        info.add(label_text({"bot": bot.name, "venue": venue, "strategy": strategy}), 1)
    return info


def _events(fresh: Collection[str], counts: Mapping[BotEvents, int]) -> Metric:
    family = CounterMetricFamily(
        "botwatch_bot_events", "Records of kind event, by level.", labels=["bot", "level"]
    )
    for (bot, level), count in sorted(counts.items()):
        if bot in fresh:
            family.add_metric([bot, level], count)
    return family


def _last_seen(bots: Iterable[Subject]) -> Metric:
    """Return the times of latest records; none of retired bots, which are not expected to report."""
    seen = GaugeLines(
        "botwatch_bot_last_record_timestamp_seconds", "Time of the latest record, by kind.", ["bot", "kind"]
    )
    for bot in bots:
        if isinstance(bot.newest, records.Heartbeat) and bot.newest.status == records.RETIRED:
            continue
        begin = label_text({"bot": bot.name})[:-1]
        for record in bot.latest:
            if not isinstance(record, records.Metric):
                kind = "computed" if getattr(record, "source", "") == "computed" else record.kind
                seen.add(f'{begin},kind="{kind}"}}', record.at.timestamp())
    return seen


def _dropped(counts: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(
        "botwatch_series_dropped",
        "Records without samples because of the bound on cardinality, by the family that lacks them.",
        labels=["family"],
    )
    for name, number in counts.items():
        family.add_metric([name], number)
    return family


def _checks(known: Collection[records.Check]) -> Iterator[Metric]:
    names = ["check", "host", "type"]
    checks = [(one, label_text({"host": one.host, "check": one.check, "type": one.type})) for one in known]
    yield from _gauges("botwatch_check", names, metric_fields(records.Check), checks)
    text = "0 ok, 1 warning, 2 critical; none while it is unknown."
    state = GaugeLines("botwatch_check_state", text, names)
    for check, labels in checks:
        if check.state is not None:
            state.add(labels, check.state)
    yield state


def _gauges(
    prefix: str,
    labels: Sequence[str],
    wanted: Iterable[MetricField],
    latest: Collection[tuple[records.AnyRecord, str]],
) -> Iterator[Metric]:
    for figure in wanted:
        meaning = f" {DEFINITIONS[figure.wire].text}" if figure.wire in DEFINITIONS else ""
        text = f"Latest {figure.wire} ({figure.unit.name} on the wire).{meaning}"
        name = figure.prometheus.removeprefix("check_")  # `botwatch_check` says it already
        family = GaugeLines(f"{prefix}_{name}", text, labels)
        read, factor = attrgetter(figure.attribute), figure.unit.factor
        family.extend((own, value * factor) for record, own in latest if (value := read(record)) is not None)
        yield family
