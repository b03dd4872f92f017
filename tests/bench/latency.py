"""Breach → webhook: from a bot's publishing of a breaching record to the receiver's reading of the notice."""

import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from redis import Redis

from shared.schema import redis_keys
from tests.bench.figures import Latencies
from tests.bench.receiver import BenchReceiver
from tests.integration.stack import BotwatchProcess
from tests.support import wait_until

Publish = Callable[[str], None]
"""Makes the bot of that name breach."""

DOORS = {"channel": "pub/sub channel", "stream": "durable stream", "http": "HTTP POST"}
LATE_S = 30.0
"""How long after the last breach its notice is waited for."""


def measure(
    name: str,
    prefix: str,
    publish: Publish,
    receiver: BenchReceiver,
    *,
    count: int,
    warm_up: int,
    pause_s: float,
) -> Latencies:
    """Let `count` bots breach, about `pause_s` apart at random, after `warm_up` that do not count."""
    for number in range(warm_up):
        bot = f"{prefix}-warm-up-{number}"
        publish(bot)
        if not receiver.wait_for([bot], LATE_S):
            raise TimeoutError(f"{name}: no notice within {LATE_S:g} s of the first breaches")
    began: dict[str, int] = {}
    wait = threading.Event().wait
    due = time.monotonic()
    for number in range(count):
        due += pause_s * random.uniform(0.5, 1.5)
        wait(max(0.0, due - time.monotonic()))
        bot = f"{prefix}-{number}"
        began[bot] = time.monotonic_ns()
        publish(bot)
    arrived = receiver.wait_for(list(began), LATE_S)
    return Latencies(name, count, [(at - began[bot]) / 1e6 for bot, at in arrived.items()])


@contextmanager
def publishing(door: str, stack: BotwatchProcess, bus: Redis) -> Iterator[Publish]:
    """Yield what publishes a breach through `door`, over one kept connection as a bot has it."""
    match door:
        case "channel":
            wait_until(lambda: bus.pubsub_numsub(redis_keys.BOT_CHANNEL)[0][1], "somebody listens")
            yield lambda bot: _received(bus.publish(redis_keys.BOT_CHANNEL, breach(bot)))
        case "stream":
            yield lambda bot: _added(bus.xadd(redis_keys.BOT_STREAM, {redis_keys.FIELD: breach(bot)}))
        case _:
            address = http.client.HTTPConnection("127.0.0.1", stack.ports["INGESTION_PORT"], timeout=10)
            with closing(address) as connection:
                yield lambda bot: post(connection, breach(bot))


def breach(bot: str) -> bytes:
    """Return a record beyond the limit of `maxDrawdown` in deploy/config/performance_logger.json."""
    record = {"kind": "performance", "bot": bot, "portfolioValue": 12_500, "maxDrawdown": 21.3}
    return json.dumps(record).encode()


def post(connection: http.client.HTTPConnection, body: bytes) -> None:
    """Post records; RuntimeError unless they are accepted."""
    connection.request("POST", "/api/v1/records", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != http.client.ACCEPTED:
        raise RuntimeError(f"the HTTP door answered {answer.status}: {said[:200]!r}")


def _received(listeners: object) -> None:
    if not listeners:
        raise RuntimeError("nobody listens on the channel")


def _added(entry: object) -> None:
    if not entry:
        raise RuntimeError("the stream did not take the record")
