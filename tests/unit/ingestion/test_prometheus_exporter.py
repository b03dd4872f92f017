"""Checks and hosts on Prometheus: names, labels and base units."""

import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client import Metric as Family
from prometheus_client.registry import Collector

from services.ingestion.prometheus_exporter import (
    MAX_CHECKS_PER_HOST,
    MAX_METRICS_PER_BOT,
    MAX_SUBJECTS,
    metric_families,
)
from shared.runtime.exposition import expose
from shared.runtime.redis.event_counts import BotEvents
from shared.runtime.redis.log_trim import FORGOTTEN_AFTER
from shared.schema.records import (
    RETIRED,
    AnyRecord,
    Check,
    CheckStatus,
    Equity,
    Health,
    Heartbeat,
    Metric,
    Performance,
)
from shared.schema.units import metric_fields
from tests.support import require_program

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
STALE = timedelta(minutes=5)
NO_EVENTS: Mapping[BotEvents, int] = MappingProxyType({})


def exposed(*records: AnyRecord, events: Mapping[BotEvents, int] = NO_EVENTS) -> str:
    """Return what Prometheus reads."""

    class Latest(Collector):
        def collect(self) -> list[Family]:
            return list(metric_families(records, NOON, STALE, events))

    registry = CollectorRegistry()
    registry.register(Latest())
    return expose(registry, None, None).body.decode()


def check(status: CheckStatus = "ok", **further: float) -> Check:
    return Check(
        host="box",
        check="binance",
        type="exchange",
        status=status,
        timestamp=NOON,
        **further,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(("status", "state"), [("ok", "0"), ("warning", "1"), ("critical", "2")])
def test_the_status_of_a_check_is_a_number(status: CheckStatus, state: str) -> None:
    labels = '{check="binance",host="box",type="exchange"}'
    assert f"\nbotwatch_check_state{labels} {state}\n" in exposed(check(status))


def test_unknown_and_stale_checks_have_no_state() -> None:
    assert "botwatch_check_state{" not in exposed(check("unknown"))
    old = check("critical")
    old.timestamp = NOON - FORGOTTEN_AFTER - timedelta(seconds=1)
    assert "botwatch_check_state{" not in exposed(old)


def test_the_figures_of_a_check_are_in_base_units() -> None:
    text = exposed(
        check(check_latency_ms=12.5, availability=99.5, certificate_days=2.0, clock_skew_ms=-1500.0)
    )
    labels = '{check="binance",host="box",type="exchange"}'
    for line in (
        f"botwatch_check_latency_seconds{labels} 0.0125",
        f"botwatch_check_availability_ratio{labels} 0.995",
        f"botwatch_check_certificate_seconds{labels} 172800",
        f"botwatch_check_clock_skew_seconds{labels} -1.5",
    ):
        assert f"\n{line}\n" in text
    assert "botwatch_check_dns_seconds{" not in text


def test_promtool_accepts_every_metric_of_checks_and_hosts() -> None:
    known = check("ok", **{figure.attribute: 1 for figure in metric_fields(Check)})
    host = Health(host="box", timestamp=NOON, **{figure.attribute: 1 for figure in metric_fields(Health)})  # type: ignore[arg-type]
    text = exposed(known, host)
    assert text.count("\nbotwatch_check_") == len(metric_fields(Check)) + 1
    assert text.count("\nbotwatch_host_") == len(metric_fields(Health))
    require_program("promtool")
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_metrics_keep_their_labels() -> None:
    """Metric records of one name with other labels are series of their own."""
    text = exposed(
        Metric(bot="a", name="spread", value=1.5, labels={"venue": "x"}, timestamp=NOON),
        Metric(
            bot="a", name="spread", value=2.5, labels={"venue": "y", "name": "n", "job": "j"}, timestamp=NOON
        ),
    )
    assert '\nbotwatch_bot_metric{bot="a",name="spread",unit="",venue="x"} 1.5\n' in text
    assert (
        '\nbotwatch_bot_metric{bot="a",label_job="j",label_name="n",name="spread",unit="",venue="y"} 2.5\n'
        in text
    )


def test_vanished_bot() -> None:
    """A bot that is silent for longer than allowed has no figures, but the time of its latest record."""
    late, alive = NOON - STALE - timedelta(seconds=1), NOON - timedelta(seconds=1)
    text = exposed(
        Equity(bot="gone", equity=1.0, timestamp=late),
        Health(host="gone", cpu_usage=1.0, timestamp=late),
        Equity(bot="rare", equity=1.0, timestamp=late),
        Heartbeat(bot="rare", timestamp=alive),
    )
    assert 'botwatch_bot_equity{bot="gone"}' not in text
    assert 'botwatch_host_cpu_usage_ratio{host="gone"}' not in text
    assert 'botwatch_bot_last_record_timestamp_seconds{bot="gone",kind="equity"}' in text
    assert 'botwatch_bot_equity{bot="rare"} 1' in text


def test_a_bot_has_the_venue_and_strategy_of_its_latest_record_that_names_them() -> None:
    """Dashboards group bots by them; `exchange` is another name of the venue, and a bot may name neither."""
    earlier = NOON - timedelta(seconds=9)
    text = exposed(
        Equity(bot="a", equity=1.0, timestamp=earlier, labels={"exchange": "kraken", "strategy": "grid"}),
        Heartbeat(bot="a", timestamp=NOON),
        Performance(bot="b", portfolio_value=1, timestamp=earlier, labels={"venue": "old"}),
        Equity(bot="b", equity=1.0, timestamp=NOON, labels={"venue": "binance"}),
        Equity(bot="c", equity=1.0, timestamp=NOON),
    )
    for bot, venue, strategy in (("a", "kraken", "grid"), ("b", "binance", ""), ("c", "", "")):
        assert f'\nbotwatch_bot_info{{bot="{bot}",strategy="{strategy}",venue="{venue}"}} 1\n' in text


def test_events_of_silent_bots_have_no_count() -> None:
    """They leave with the other metrics of the bot; the count is kept."""
    counts = {("a", "error"): 3, ("gone", "info"): 5}
    text = exposed(Equity(bot="a", equity=1.0, timestamp=NOON), events=counts)
    assert '\nbotwatch_bot_events_total{bot="a",level="error"} 3.0\n' in text
    assert "gone" not in text


def test_a_bot_with_too_many_metrics_exports_none_of_them() -> None:
    """Which ones would change with every scrape, and Prometheus pays for each series it has ever seen."""
    many = MAX_METRICS_PER_BOT + 1
    metrics = [Metric(bot="careless", name="x", value=1, labels={"id": str(i)}) for i in range(many)]
    fine = Metric(bot="fine", name="x", value=1, timestamp=NOON)
    for one in metrics:
        one.timestamp = NOON
    text = exposed(Equity(bot="careless", equity=1.0, timestamp=NOON), fine, *metrics)
    assert text.count("\nbotwatch_bot_metric{") == 1
    assert f'\nbotwatch_series_dropped{{family="botwatch_bot_metric"}} {many}.0\n' in text
    assert '\nbotwatch_bot_equity{bot="careless"} 1\n' in text
    assert exposed(fine, *metrics[1:]).count("\nbotwatch_bot_metric{") == many


def test_bots_and_checks_past_the_bound_are_left_out_and_counted() -> None:
    """The first bots by name keep their samples; a host with too many checks has none of them."""
    bots = [Equity(bot=f"{i:05}", equity=1.0, timestamp=NOON) for i in range(MAX_SUBJECTS + 3)]
    checks = [
        Check(host="box", check=f"{i}", type="http", status="ok", timestamp=NOON)
        for i in range(MAX_CHECKS_PER_HOST + 1)
    ]
    text = exposed(*reversed(bots), *checks)
    assert text.count("\nbotwatch_bot_equity{") == text.count("\nbotwatch_bot_info{") == MAX_SUBJECTS
    assert 'bot="00000"' in text
    assert f'bot="{MAX_SUBJECTS:05}"' not in text
    assert '\nbotwatch_series_dropped{family="botwatch_bot"} 3.0\n' in text
    assert f'\nbotwatch_series_dropped{{family="botwatch_check"}} {MAX_CHECKS_PER_HOST + 1}.0\n' in text
    assert "botwatch_check_state{" not in text


def test_a_retired_bot_is_not_missed() -> None:
    """It has no time of its latest record, which a rule could find too old, until it reports again."""
    retired = Heartbeat(bot="a", status=RETIRED, timestamp=NOON)
    before = Equity(bot="a", equity=1.0, timestamp=NOON - timedelta(seconds=1))
    assert "botwatch_bot_last_record_timestamp_seconds{" not in exposed(before, retired)
    again = Equity(bot="a", equity=1.0, timestamp=NOON + timedelta(seconds=1))
    assert exposed(again, retired).count("botwatch_bot_last_record_timestamp_seconds{") == 2
