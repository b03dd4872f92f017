"""The bench's arithmetic, and what its receiver takes for the notice of a breach."""

import json
import math

from tests.bench.figures import (
    BenchHistory,
    Cost,
    Latencies,
    Round,
    Throughput,
    cost_table,
    history_table,
    latency_table,
    throughput_table,
    verdict,
)
from tests.bench.receiver import BenchReceiver


def test_a_quantile_is_the_latency_that_the_share_stayed_within() -> None:
    one = Latencies("door", 100, [float(n) for n in range(100, 0, -1)])
    assert (one.quantile(0.5), one.quantile(0.99), one.quantile(1.0)) == (50.0, 99.0, 100.0)


def test_what_never_arrived_counts_as_forever() -> None:
    one = Latencies("door", 4, [1.0, 2.0, 3.0])
    assert (one.lost, one.quantile(0.5), one.quantile(0.99)) == (1, 2.0, math.inf)
    assert latency_table([one])[1].split() == ["door", "3/4", "2.0", "inf"]


def test_the_verdict_names_the_slowest_door_first() -> None:
    doors = [Latencies("a", 1, [5.0]), Latencies("b", 1, [10.0])]
    said = verdict(doors, Latencies("peer", 1, [1000.0]))
    assert said.startswith("Botwatch is 100 times quicker by its slowest door, 200 by its quickest")


def test_a_ratio_compares_what_was_measured_side_by_side() -> None:
    one = Throughput(
        "door", [Round(100, 1.0, 2.0, 1.0), Round(100, 1.0, 8.0, 4.0), Round(100, 1.0, 4.0, 1.0)]
    )
    assert (one.taken, one.stored, one.raw, one.ratio) == (100.0, 25.0, 100.0, 0.5)
    assert throughput_table([one])[1].split() == ["door", "100", "25", "100", "0.50"]


def test_an_answer_is_held_against_reading_all_rows() -> None:
    found = BenchHistory(525_600, [Latencies("equity", 2, [10.0, 20.0])], naive_ms=1000, rollup_us=5)
    assert history_table(found)[1].split() == ["equity", "10.0", "20.0", "100"]


def test_the_cost_of_an_event_is_held_against_that_in_a_short_history() -> None:
    costs = [Cost(1000, 4.0, 900.0, 13.0, 1024, 2048), Cost(100_000, 5.0, 950.0, 14.5, 4096, 2048)]
    assert cost_table(costs)[2].split() == ["100,000", "events", "5.0", "1.25", "950", "14.5", "4"]


def test_the_receiver_notes_when_a_bot_was_first_told_of_whoever_tells() -> None:
    receiver = BenchReceiver()
    receiver.note(json.dumps({"component": "a", "change": "opened"}).encode(), 1)
    receiver.note(json.dumps({"component": "a", "change": "opened"}).encode(), 2)
    receiver.note(json.dumps({"component": "b", "change": "resolved"}).encode(), 3)
    group = [{"status": "firing", "labels": {"bot": name}} for name in ("c", "d")]
    receiver.note(json.dumps({"alerts": [*group, {"status": "resolved", "labels": {}}]}).encode(), 4)
    assert receiver.wait_for(["a", "b", "c", "d"], timeout_s=0) == {"a": 1, "c": 4, "d": 4}
