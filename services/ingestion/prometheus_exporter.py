"""Export the latest records to Prometheus, from Redis, so that every worker returns the same.

The number of series has a bound, whatever is sent. What is left out does not change from scrape to scrape:
Prometheus pays for every series that it has ever seen.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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

R = TypeVar("R", bound=records.AnyRecord)


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
    recent = [record for record in latest if now - record.at <= FORGOTTEN_AFTER]
    everything, dropped = _without_surplus(recent)
    fresh = {subject_key(record) for record in everything if now - record.at <= stale}
    known = [record for record in everything if subject_key(record) in fresh]
    bots = [record for record in known if isinstance(record, records.BotRecord)]
    yield from _performance(_of_type(bots, records.Performance), _of_type(bots, records.Equity))
    hosts = [(one, label_text({"host": one.host})) for one in _of_type(known, records.Health)]
    yield from _gauges("botwatch_host", ["host"], metric_fields(records.Health), hosts)
    yield from _checks(_of_type(known, records.Check))
    yield _metrics(_of_type(known, records.Metric))
    yield _bot_info(bots)
    yield _events({name for kind, name in fresh if kind == "bot"}, events)
    yield _last_seen(everything)
    yield _dropped(dropped)


def _without_surplus(
    recent: Iterable[records.AnyRecord],
) -> tuple[list[records.AnyRecord], dict[str, int]]:
    """Return the records that may have samples, and how many are left out by family."""
    by_subject = sorted(recent, key=subject_key)
    kept: list[records.AnyRecord] = []
    dropped = {"botwatch_bot": 0, "botwatch_host": 0, "botwatch_bot_metric": 0, "botwatch_check": 0}
    for kind, of_kind in groupby(by_subject, key=lambda record: subject_key(record)[0]):
        for number, (_, found) in enumerate(groupby(of_kind, key=subject_key)):
            own = list(found)
            if number >= MAX_SUBJECTS:
                dropped[f"botwatch_{kind}"] += len(own)
                continue
            for family, type_, most in (
                ("botwatch_bot_metric", records.Metric, MAX_METRICS_PER_BOT),
                ("botwatch_check", records.Check, MAX_CHECKS_PER_HOST),
            ):
                surplus = sum(isinstance(record, type_) for record in own)
                if surplus > most:
                    dropped[family] += surplus
                    own = [record for record in own if not isinstance(record, type_)]
            kept += own
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


def _bot_info(known: Iterable[records.BotRecord]) -> Metric:
    """Return one sample a bot with where it trades and what, of its latest record that says so."""
    info = GaugeLines(
        "botwatch_bot_info",
        "Always 1. Labels venue (or exchange) and strategy of the latest record of a bot with any of them.",
        ["bot", "strategy", "venue"],
    )
    labels: dict[str, tuple[str, str]] = {}
    for record in sorted(known, key=attrgetter("at")):
        found = record.labels
        said = (found.get("venue") or found.get("exchange", ""), found.get("strategy", ""))
        if any(said) or record.bot not in labels:
            labels[record.bot] = said
    for bot, (venue, strategy) in sorted(labels.items()):
        info.add(label_text({"bot": bot, "venue": venue, "strategy": strategy}), 1)
    return info


def _events(fresh: Collection[str], counts: Mapping[BotEvents, int]) -> Metric:
    family = CounterMetricFamily(
        "botwatch_bot_events", "Records of kind event, by level.", labels=["bot", "level"]
    )
    for (bot, level), count in sorted(counts.items()):
        if bot in fresh:
            family.add_metric([bot, level], count)
    return family


def _last_seen(known: Iterable[records.AnyRecord]) -> Metric:
    """Return the times of latest records; none of retired bots, which are not expected to report."""
    seen = GaugeLines(
        "botwatch_bot_last_record_timestamp_seconds", "Time of the latest record, by kind.", ["bot", "kind"]
    )
    bots = [record for record in known if isinstance(record, records.BotRecord)]
    latest = {record.bot: record for record in sorted(bots, key=attrgetter("at"))}
    retired = {
        bot
        for bot, record in latest.items()
        if isinstance(record, records.Heartbeat) and record.status == records.RETIRED
    }
    for record in bots:
        if record.bot not in retired and not isinstance(record, records.Metric):
            kind = "computed" if getattr(record, "source", "") == "computed" else record.kind
            seen.add(label_text({"bot": record.bot, "kind": kind}), record.at.timestamp())
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
