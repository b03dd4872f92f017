"""The bench measures every entry point of a running Botwatch."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.bench import latency, throughput
from tests.bench import stack as stack_bench
from tests.bench.receiver import BenchReceiver
from tests.integration.stack import BotwatchProcess, WebhookAndMailReceivers
from tests.support import wait_until

pytestmark = pytest.mark.integration


class SharedReceiver(BenchReceiver):
    """Reads what the shared stack's webhook got."""

    def __init__(self, bodies: list[dict[str, Any]]) -> None:
        super().__init__()
        self._bodies = bodies

    def wait_for(self, bots: list[str], timeout_s: float) -> dict[str, int]:
        """Wait until the webhook has heard of all bots."""
        wait_until(
            lambda: set(bots) <= {body["component"] for body in self._bodies},
            f"notifications about {bots}",
            timeout_s=timeout_s,
        )
        for body in list(self._bodies):
            self.note(json.dumps(body).encode(), time.monotonic_ns())
        return super().wait_for(bots, 0)


@pytest.mark.parametrize("door", latency.DOORS)
def test_latency_is_measured_through_each_door(
    door: str, stack: BotwatchProcess, bus: Redis, receivers: WebhookAndMailReceivers
) -> None:
    with latency.publishing(door, stack, bus) as publish:
        found = latency.measure(
            door, f"bench-{door}", publish, SharedReceiver(receivers.bodies),
            count=3, warm_up=1, pause_s=0.01,
        )  # fmt: skip
    assert (found.sent, found.lost) == (3, 0)


def test_throughput_is_measured_over_the_stream_and_http(
    stack: BotwatchProcess, bus: Redis, tmp_path: Path
) -> None:
    sizes = {"records": throughput.BATCH, "rounds": 1}
    for found in (
        throughput.stream(stack, bus, tmp_path, **sizes),
        throughput.over_http(stack, tmp_path, **sizes),
    ):
        assert found.ratio > 0


def test_memory_is_measured_of_every_process(stack: BotwatchProcess) -> None:
    """By the names of the parts; a shared page counts in part, so that PSS is less than RSS."""
    found = stack_bench.look(stack, ready_s=1.0, idle_s=0.1)
    assert {"botwatch up", "recorder", "notifier watchdog", "ingestion http (worker)", "valkey-server"} <= {
        *found.pss
    }
    assert all(0 < found.pss[name] < found.rss[name] for name in found.pss)
