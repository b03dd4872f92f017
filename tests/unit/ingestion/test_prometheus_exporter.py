"""Checks and hosts on Prometheus: names, labels and base units."""

import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Metric as Family
from prometheus_client.registry import Collector

from services.ingestion.prometheus_exporter import metric_families
from shared.runtime.redis.log_trim import FORGOTTEN_AFTER
from shared.schema.records import AnyRecord, Check, CheckStatus, Equity, Health, Heartbeat, Metric
from shared.schema.units import metric_fields
from tests.support import require_program

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
STALE = timedelta(minutes=5)


def exposed(*records: AnyRecord) -> str:
    """Return what Prometheus reads."""

    class Latest(Collector):
        def collect(self) -> list[Family]:
            return list(metric_families(records, NOON, STALE))

    registry = CollectorRegistry()
    registry.register(Latest())
    return generate_latest(registry).decode()


def check(status: CheckStatus = "ok", **further: float) -> Check:
    return Check(
        host="box",
        check="binance",
        type="exchange",
        status=status,
        timestamp=NOON,
        **further,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(("status", "state"), [("ok", "0.0"), ("warning", "1.0"), ("critical", "2.0")])
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
        f"botwatch_check_certificate_seconds{labels} 172800.0",
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
        Metric(bot="a", name="spread", value=2.5, labels={"venue": "y", "name": "n"}, timestamp=NOON),
    )
    assert '\nbotwatch_bot_metric{bot="a",name="spread",unit="",venue="x"} 1.5\n' in text
    assert '\nbotwatch_bot_metric{bot="a",label_name="n",name="spread",unit="",venue="y"} 2.5\n' in text


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
    assert 'botwatch_bot_equity{bot="rare"} 1.0' in text
