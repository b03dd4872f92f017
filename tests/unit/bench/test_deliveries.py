"""The bench of deliveries: its receiver counts, and the rounds of an outbox are printed."""

import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from shared.schema.alerts import encode_json
from tests.bench import deliveries, fast_receiver
from tests.bench.deliveries import Deliveries, DeliveryBench
from tests.unit.notifier.fake_receivers import make_notice

pytestmark = pytest.mark.slow  # starts processes


def test_the_fast_receiver_counts_first_arrivals_and_duplicates() -> None:
    with fast_receiver.running() as receiver:
        for bot in ("a", "b", "a"):
            body = encode_json(make_notice(component=bot))
            urllib.request.urlopen(receiver.url, body, timeout=10).close()
        found = receiver.wait_for(2, 10)
        assert list(found.at_ns) == ["a", "b"]
        assert (found.requests, found.duplicates) == (3, 1)
        assert receiver.wait_for(1, 0) == ({}, 0, 0)


def test_an_outbox_is_drained_and_printed(tmp_path: Path) -> None:
    count = 30
    with (
        fast_receiver.running() as receiver,
        deliveries._drain(tmp_path / "outbox", receiver) as way,  # noqa: SLF001 - one way of several
    ):
        found = Deliveries(way.name, [], {})
        before = way.cpu_s()
        found.add(way.run("bot", count), before, way.cpu_s())
    (one,) = found.rounds
    assert (one.sent, one.arrived, one.duplicates) == (count, count, 0)
    peer = Deliveries("Alertmanager", [one, replace(one, arrived=count - 2)], {})
    printed = deliveries.table(DeliveryBench([found, peer], 1000))
    assert printed[1].split()[-2:] == ["0", "0"]
    assert printed[2].split()[-2:] == ["0", "2"]
    assert "Botwatch, outbox drained: 1.00 of Alertmanager" in printed
    assert printed[-1] == "the receiver alone answers 1,000 requests/s on one connection"
