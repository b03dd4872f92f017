"""What the last looks come to."""

from services.collector.checks.base import CheckResult
from services.collector.checks.soft_state import WINDOW_SIZE, CheckStatistics


def look(latency: float) -> CheckResult:
    return CheckResult("ok", "answered", figures={"check_latency_ms": latency})


BAD = CheckResult("critical", "refused", "refused", {"check_latency_ms": 0.1})


def test_percentiles_are_interpolated_as_those_of_orders_are() -> None:
    past = CheckStatistics("http")
    for latency in range(1, 102):
        past.add(look(latency))
    # 2 to 101: the first has left.
    assert past.metrics() == {
        "availability": 100.0,
        "latency_p50_ms": 51.5,
        "latency_p95_ms": 96.05,
        "latency_p99_ms": 100.01,
    }


def test_failures_are_unavailable_and_have_no_latency() -> None:
    past = CheckStatistics("http")
    for one in (look(10), look(20)._replace(status="warning"), BAD, BAD):
        past.add(one)
    assert (past.metrics()["availability"], past.metrics()["latency_p50_ms"]) == (50.0, 15.0)


def test_only_the_last_hundred_looks_count() -> None:
    past = CheckStatistics("http")
    past.add(BAD)
    for _ in range(WINDOW_SIZE):
        past.add(look(1))
    assert past.metrics()["availability"] == 100.0


def test_looks_without_result_say_nothing() -> None:
    past = CheckStatistics("http")
    past.add(CheckResult("unknown", "may not be read", "denied"))
    assert past.metrics() == {}


def test_what_happens_is_never_up_or_down() -> None:
    past = CheckStatistics("logins")
    past.add(BAD)
    assert past.metrics() == {}
