"""The broadcaster as a process, with real clients on loopback."""

import http.client
import json
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import Redis
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from shared.runtime.redis.record_log import RecordLog
from shared.runtime.web.connection_limits import MAX_PER_ADDRESS
from shared.schema import redis_keys
from shared.schema.records import Equity
from tests.support import time_until
from tests.unit.broadcaster.conftest import BroadcasterProcess, RestartableValkey
from tests.unit.collector.certificate_authority import authority, certificate

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def equity(value: float, bot: str = "demo") -> Equity:
    return Equity(bot=bot, timestamp=NOON, equity=value)


def announce(redis: Redis, name: str, severity: str = "HIGH", bot: str = "demo") -> None:
    """Announce an alert as the evaluator does."""
    alert = {"id": name, "severity": severity, "component": bot, "details": {"bot": bot}}
    redis.hset(redis_keys.ALERTS_OPEN, name, json.dumps(alert))
    redis.xadd(redis_keys.ALERTS, {"data": json.dumps({"type": "alert", "change": "opened", "alert": alert})})


def receive(client: ClientConnection) -> Any:
    """Return the next frame."""
    return json.loads(client.recv(timeout=5))


def messages(client: ClientConnection, count: int) -> list[dict[str, Any]]:
    """Return the next messages; there must be exactly `count` when a frame ends."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        found += receive(client)
    assert len(found) == count
    return found


def values(found: list[dict[str, Any]]) -> list[float]:
    return [message["record"]["equity"] for message in found]


def status_of(address: str) -> tuple[int, str]:
    """Return the status and the words with which a connection is refused."""
    with pytest.raises(InvalidStatus) as caught, connect(address, proxy=None):
        pass
    return caught.value.response.status_code, (caught.value.response.body or b"").decode()


def get(process: BroadcasterProcess, path: str) -> str:
    """GET from the same port."""
    with urllib.request.urlopen(f"http://127.0.0.1:{process.port}{path}", timeout=5) as answer:
        return str(answer.read().decode())


def test_a_client_gets_a_snapshot_then_live_messages(broadcaster: BroadcasterProcess, redis: Redis) -> None:
    log = RecordLog(redis)
    log.append([equity(1), equity(2)], "test")
    announce(redis, "a1")
    with connect(broadcaster.address, proxy=None) as client:
        snapshot = receive(client)
        assert snapshot["type"] == "snapshot"
        assert [record["equity"] for record in snapshot["records"]] == [2]
        assert [alert["id"] for alert in snapshot["alerts"]] == ["a1"]
        entry = log.append([equity(3), equity(4)], "test")
        found: list[dict[str, Any]] = []
        while not found:  # what the snapshot already held may come once more before it
            found = [message for message in receive(client) if message["id"] == entry]
        assert values(found) == [3, 4]
        announce(redis, "a2")
        (alert,) = messages(client, 1)
    assert alert["type"] == "alert"
    assert alert["change"] == "opened"
    assert alert["alert"]["id"] == "a2"


class Bursts:
    """Appends 1,000 records in bursts, and alerts in between, while it runs."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        log, pause = RecordLog(self._redis), threading.Event()
        for burst in range(100):
            for entry in range(5):
                log.append([equity(burst * 10 + entry * 2), equity(burst * 10 + entry * 2 + 1)], "test")
            announce(self._redis, f"a{burst}")
            pause.wait(0.01)

    def join(self) -> None:
        """Wait for the end."""
        self._thread.join(30)


def test_a_reconnecting_client_gets_every_message_once(broadcaster: BroadcasterProcess, redis: Redis) -> None:
    bursts = Bursts(redis)
    seen: list[tuple[str, float]] = []
    alerts: list[str] = []
    last = "0-0"
    rounds = 0
    while len(seen) < 1000 or len(set(alerts)) < 100:
        rounds += 1
        with connect(f"{broadcaster.address}?since={last}", proxy=None) as client:
            assert receive(client)["type"] == "snapshot"
            for _ in range(3):
                if len(seen) >= 1000 and len(set(alerts)) >= 100:
                    break
                for message in receive(client):
                    last = message["id"]
                    if message["type"] == "record":
                        seen.append((message["id"], message["record"]["equity"]))
                    else:
                        alerts.append(message["alert"]["id"])
    bursts.join()
    assert rounds > 3
    # An id is not known to belong to one stream only: the same millisecond of the other may come again.
    once = list(dict.fromkeys(seen))
    assert [value for _, value in once] == list(range(1000))
    repeated = len(seen) - len(once)
    assert repeated <= 2 * rounds, "only what shares a millisecond with an alert may be repeated"
    assert list(dict.fromkeys(alerts)) == [f"a{burst}" for burst in range(100)]


def test_live_messages_come_once_and_in_order(broadcaster: BroadcasterProcess, redis: Redis) -> None:
    with connect(broadcaster.address, proxy=None) as client:
        receive(client)
        bursts = Bursts(redis)
        found = messages(client, 1100)
        bursts.join()
    assert values([message for message in found if message["type"] == "record"]) == list(range(1000))


def test_filters_choose_by_bot_kind_and_severity(broadcaster: BroadcasterProcess, redis: Redis) -> None:
    address = f"{broadcaster.address}?bot=a&kind=equity&kind=alert&severity=HIGH"
    with connect(address, proxy=None) as client:
        receive(client)
        RecordLog(redis).append([equity(1, "a"), equity(2, "b")], "test")
        announce(redis, "low", "LOW", "a")
        announce(redis, "other", "HIGH", "b")
        announce(redis, "mine", "HIGH", "a")
        first, second = messages(client, 2)
    assert first["record"]["equity"] == 1
    assert second["alert"]["id"] == "mine"


def test_a_client_that_resumes_too_late_gets_a_gap_message(
    broadcaster: BroadcasterProcess, redis: Redis
) -> None:
    log = RecordLog(redis)
    first = log.append([equity(1)], "test")
    log.append([equity(2)], "test")
    third = log.append([equity(3)], "test")
    redis.xtrim(log.stream, minid=third, approximate=False)
    time_until(lambda: json.loads(_first_frame(broadcaster))["id"] == third)
    with connect(f"{broadcaster.address}?since={first}", proxy=None) as client:
        receive(client)
        assert receive(client) == [{"type": "gap", "since": first, "oldest": third}]
        assert values(receive(client)) == [3]


def _first_frame(broadcaster: BroadcasterProcess) -> str | bytes:
    with connect(broadcaster.address, proxy=None) as client:
        return client.recv(timeout=5)


def test_unreadable_entries_are_skipped(broadcaster: BroadcasterProcess, redis: Redis) -> None:
    with connect(broadcaster.address, proxy=None) as client:
        receive(client)
        redis.xadd(redis_keys.record_stream(), {"data": "nonsense"})
        redis.xadd(redis_keys.ALERTS, {"wrong": "field"})
        RecordLog(redis).append([equity(1)], "test")
        assert values(messages(client, 1)) == [1]


def test_an_invalid_query_and_another_path_are_rejected(shared_broadcaster: BroadcasterProcess) -> None:
    status, words = status_of(f"{shared_broadcaster.address}?kind=equitty")
    assert status == 400
    assert "did you mean `equity`?" in words
    assert status_of(shared_broadcaster.address.replace("monitoring", "elsewhere"))[0] == 404


def test_health_and_metrics_are_answered_on_the_same_port(shared_broadcaster: BroadcasterProcess) -> None:
    time_until(lambda: json.loads(get(shared_broadcaster, "/health"))["status"] == "ok")
    with connect(shared_broadcaster.address, proxy=None) as client:
        receive(client)
        assert "botwatch_websocket_clients 1.0" in get(shared_broadcaster, "/metrics")
    time_until(lambda: "botwatch_websocket_clients 0.0" in get(shared_broadcaster, "/metrics"))
    for name in ("messages", "dropped"):
        assert f"botwatch_websocket_{name}_total" in get(shared_broadcaster, "/metrics")


def test_client_messages_are_ignored_up_to_a_limit(broadcaster: BroadcasterProcess, redis: Redis) -> None:
    with connect(broadcaster.address, proxy=None) as client:
        receive(client)
        client.send("hello")
        RecordLog(redis).append([equity(1)], "test")
        assert values(messages(client, 1)) == [1]
        client.send("x" * 5000)
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(timeout=5)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1009


@pytest.fixture
def stalled(broadcaster: BroadcasterProcess) -> Iterator[socket.socket]:
    """Open a WebSocket by hand, with small buffers, and never read from it."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", broadcaster.port))
        client.sendall(
            b"GET /monitoring HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        yield client


def flood(redis: Redis, client: ClientConnection, process: BroadcasterProcess) -> int:
    """Append until a client was dropped; return how many records the good client got until then."""
    log, received = RecordLog(redis), 0
    while "botwatch_websocket_dropped_total 1.0" not in get(process, "/metrics"):
        assert received < 500_000, "nobody was dropped"
        log.append([equity(number) for number in range(500)], "test")
        received += len(messages(client, 500))
    return received


def test_a_stalled_client_is_dropped_without_delaying_others(
    broadcaster: BroadcasterProcess, redis: Redis, stalled: socket.socket
) -> None:
    time_until(lambda: "botwatch_websocket_clients 1.0" in get(broadcaster, "/metrics"))
    with connect(broadcaster.address, proxy=None) as client:
        receive(client)
        assert flood(redis, client, broadcaster) > 0
        time_until(lambda: "botwatch_websocket_clients 1.0" in get(broadcaster, "/metrics"))
        RecordLog(redis).append([equity(7)], "test")
        assert values(messages(client, 1)) == [7]
    stalled.settimeout(5)
    with pytest.raises(ConnectionResetError):
        while stalled.recv(1 << 20):
            pass
        raise ConnectionResetError


def test_a_slow_client_reads_the_close_reason(broadcaster: BroadcasterProcess, redis: Redis) -> None:
    with connect(broadcaster.address, proxy=None, max_queue=1) as slow:
        receive(slow)
        log = RecordLog(redis)
        while "botwatch_websocket_dropped_total 1.0" not in get(broadcaster, "/metrics"):
            log.append([equity(number) for number in range(2000)], "test")
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                slow.recv(timeout=5)
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4008, "slow consumer")


def test_a_client_that_falls_behind_catches_up_in_order(
    broadcaster: BroadcasterProcess, redis: Redis
) -> None:
    """What is sent at once to a client that keeps up never passes what waits for one that does not."""
    log, buffers, sent = RecordLog(redis), socket.socket(), 0
    buffers.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    buffers.connect(("127.0.0.1", broadcaster.port))
    with (
        connect(broadcaster.address, proxy=None) as quick,
        connect(broadcaster.address, sock=buffers, proxy=None, max_queue=1) as slow,
    ):
        receive(quick)
        receive(slow)

        def send() -> None:
            nonlocal sent
            log.append([equity(number) for number in range(sent, sent + 250)], "test")
            sent += len(messages(quick, 250))

        send()
        while f"botwatch_websocket_messages_total {2 * sent + 2}.0" in get(broadcaster, "/metrics"):
            send()
        send()
        found = values(messages(slow, sent))
        for _ in range(3):
            send()
            found += values(messages(slow, 250))
    assert found == list(range(sent))


def test_it_stops_at_once_even_with_a_stalled_client(
    broadcaster: BroadcasterProcess, redis: Redis, stalled: socket.socket
) -> None:
    time_until(lambda: "botwatch_websocket_clients 1.0" in get(broadcaster, "/metrics"))
    time_until(lambda: redis.hexists(redis_keys.PARTS, "broadcaster"))
    with connect(broadcaster.address, proxy=None) as client:
        receive(client)
        log = RecordLog(redis)
        for _ in range(100):
            log.append([equity(number) for number in range(20)], "test")
            messages(client, 20)
        assert broadcaster.stop() < 8  # below the ten seconds after which it would be killed
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(timeout=5)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1001
    assert broadcaster.process.returncode == 0
    assert not redis.hexists(redis_keys.PARTS, "broadcaster")
    assert stalled.fileno() > 0


def test_it_survives_a_redis_outage_and_logs_it_once(
    broadcaster: BroadcasterProcess, redis: Redis, valkey: RestartableValkey
) -> None:
    with connect(broadcaster.address, proxy=None) as client:
        receive(client)
        valkey.stop()
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(broadcaster, "/health")
        caught.value.close()
        assert caught.value.code == 503
        valkey.start()

        def again() -> bool:
            RecordLog(redis).append([equity(1)], "test")
            try:
                return bool(json.loads(client.recv(timeout=0.2)))
            except TimeoutError:
                return False

        time_until(again)
        time_until(again)  # by the second message the first reading has been spoken of
    written = broadcaster.close().decode()
    assert written.count("redis is down") == 1
    assert written.count("redis is up") == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 421),
    ],
)
def test_pages_of_other_sites_see_nothing(
    shared_broadcaster: BroadcasterProcess, headers: dict[str, str], status: int
) -> None:
    address = urlsplit(shared_broadcaster.address)
    connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=10)
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    connection.request("GET", address.path, headers={**upgrade, **headers})
    assert connection.getresponse().status == status
    connection.close()


def test_a_refused_handshake_says_why(shared_broadcaster: BroadcasterProcess) -> None:
    """A client reads the status and one sentence with what to do."""
    origin, host = Origin("http://evil.example"), "ws://evil.example/monitoring"
    for address, sent, status, reason in (
        (host, None, 421, "Host 'evil.example' is not allowed; add it to ALLOWED_HOSTS"),
        (shared_broadcaster.address, origin, 403, "cross-site request from 'http://evil.example' rejected"),
    ):
        there = socket.create_connection(("127.0.0.1", shared_broadcaster.port))
        with pytest.raises(InvalidStatus) as refused:
            connect(address, origin=sent, sock=there)
        there.close()
        response = refused.value.response
        assert response.status_code == status
        assert reason in (response.body or b"").decode()


def test_one_connection_too_many_is_closed_and_the_others_stay(
    shared_broadcaster: BroadcasterProcess,
) -> None:
    """At the limit per address, with none of them idle."""
    upgrade = (
        b"GET /monitoring HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    with connect(shared_broadcaster.address, proxy=None) as client, ExitStack() as stack:
        for _ in range(MAX_PER_ADDRESS - 1):
            other = stack.enter_context(socket.create_connection(("127.0.0.1", shared_broadcaster.port)))
            other.sendall(upgrade)
            assert other.recv(12) == b"HTTP/1.1 101"
        with pytest.raises((InvalidMessage, ConnectionClosed, OSError, EOFError)):
            connect(shared_broadcaster.address, proxy=None)
        assert receive(client)


def test_the_dashboard_page_may_connect(shared_broadcaster: BroadcasterProcess) -> None:
    with connect(shared_broadcaster.address, origin=Origin("http://127.0.0.1:3001"), proxy=None) as client:
        assert client.recv(timeout=10)


def test_many_handshakes_affect_neither_clients_nor_health(
    shared_broadcaster: BroadcasterProcess,
) -> None:
    port = urlsplit(shared_broadcaster.address).port
    with ExitStack() as stack:
        for _ in range(300):
            idle = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            idle.sendall(b"GET /monitoring HTTP/1.1\r\n")
        with connect(shared_broadcaster.address, proxy=None) as client:
            assert receive(client)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            assert json.load(answer)["status"] == "ok"


def test_a_client_can_request_keepalives(broadcaster: BroadcasterProcess, redis: Redis) -> None:
    """Also when nothing happens; who does not ask gets records and alerts alone."""
    with (
        connect(f"{broadcaster.address}?alive=true", proxy=None) as client,
        connect(broadcaster.address, proxy=None) as other,
    ):
        receive(client)
        receive(other)
        assert [receive(client), receive(client)] == [[{"type": "alive"}]] * 2
        RecordLog(redis).append([equity(1)], "test")
        assert values(messages(other, 1)) == [1]


def test_with_a_certificate_it_serves_over_tls_only(valkey: RestartableValkey, tmp_path: Path) -> None:
    """A client that verifies the certificate gets the snapshot; `ws://` is refused."""
    root = authority()
    file = certificate(root, "localhost").save(tmp_path / "tls.pem")
    process = BroadcasterProcess(valkey.url, TLS_CERTIFICATE=str(file), TLS_KEY=str(file))
    try:
        verifying = ssl.create_default_context(cadata=root.pem.decode())
        with connect(f"wss://localhost:{process.port}/monitoring", ssl=verifying) as client:
            assert receive(client)["type"] == "snapshot"
        with pytest.raises((InvalidMessage, OSError)):
            connect(process.address)
    finally:
        process.close()
