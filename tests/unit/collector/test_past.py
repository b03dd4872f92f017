"""What the last looks come to."""

from services.collector.past import LOOKS, Past
from services.collector.probe import Look


def look(latency: float) -> Look:
    return Look("ok", "answered", figures={"check_latency_ms": latency})


BAD = Look("critical", "refused", "refused", {"check_latency_ms": 0.1})


def test_percentiles_are_interpolated_as_those_of_orders_are() -> None:
    past = Past("http")
    for latency in range(1, 102):
        past.add(look(latency))
    # 2 to 101: the first has left.
    assert past.figures() == {
        "availability": 100.0,
        "latency_p50_ms": 51.5,
        "latency_p95_ms": 96.05,
        "latency_p99_ms": 100.01,
    }


def test_warnings_are_available_and_failures_are_not_nor_have_they_a_latency() -> None:
    past = Past("http")
    for one in (look(10), look(20)._replace(status="warning"), BAD, BAD):
        past.add(one)
    assert (past.figures()["availability"], past.figures()["latency_p50_ms"]) == (50.0, 15.0)


def test_only_the_last_hundred_looks_count() -> None:
    past = Past("http")
    past.add(BAD)
    for _ in range(LOOKS):
        past.add(look(1))
    assert past.figures()["availability"] == 100.0


def test_looks_without_result_say_nothing() -> None:
    past = Past("http")
    past.add(Look("unknown", "may not be read", "denied"))
    assert past.figures() == {}


def test_what_happens_is_never_up_or_down() -> None:
    past = Past("logins")
    past.add(BAD)
    assert past.figures() == {}
