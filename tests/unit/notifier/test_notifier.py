"""The notifier in one process: from a wake to a receiver, and channels that change with the documents."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from queue import SimpleQueue

import msgspec
import pytest
from prometheus_client import REGISTRY
from redis import Redis
from sqlalchemy.exc import OperationalError

from services.notifier import channel_supervisor, channel_tests
from services.notifier.content.rendering import ContentFactory
from services.notifier.delivery.channel import Channel
from services.notifier.delivery.channel_state import channel_alert
from services.notifier.notifier import Notifier
from services.notifier.self_alert_store import open_self_alert
from services.notifier.self_alerts import build_alert
from shared.runtime import clock
from shared.runtime.config.documents import Documents
from shared.runtime.redis.connection import connect_redis
from shared.runtime.redis.wake import wake
from shared.schema.channel_status import ChannelStatus, ChannelStatuses
from shared.schema.faults import InvalidError
from shared.schema.muting import NO_MUTES
from shared.schema.redis_keys import CHANNELS
from shared.store.alerts import open_by_fingerprint
from shared.store.database import Database
from shared.store.delivery_history import DeliveryFilter, list_deliveries
from tests.support import time_until
from tests.unit.notifier.config import documents
from tests.unit.notifier.fake_receivers import (
    FakeContent,
    WebhookReceiver,
    make_notice,
    states,
    write_deliveries,
)
from tests.unit.notifier.planning_harness import PlanningHarness

pytestmark = pytest.mark.integration


class RunningNotifier:
    """A notifier whose steps run in a thread; reloads happen between two steps, as in the product."""

    def __init__(self, read: Documents, database: Database, connect: Callable[[], Redis]) -> None:
        self._config = read
        self._redis = connect()
        self.notifier = Notifier(self._read_config, database, connect, "http://page")
        self._reloads: SimpleQueue[SimpleQueue[Exception | None]] = SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.notifier.start()
        self._thread.start()

    def _read_config(self) -> tuple[Documents, ContentFactory]:
        return self._config, lambda _: FakeContent()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.notifier.step()
            if not self._reloads.empty():
                answer = self._reloads.get()
                try:
                    self.notifier.reload()
                except Exception as error:  # noqa: BLE001 - raised again by who asked
                    answer.put(error)
                else:
                    answer.put(None)

    def wake(self) -> None:
        """Wake it as the evaluator does."""
        wake(self._redis)

    def reload(self, read: Documents) -> None:
        """Have it apply other documents; raise what goes wrong."""
        self._config = read
        answer: SimpleQueue[Exception | None] = SimpleQueue()
        self._reloads.put(answer)
        self.wake()
        if error := answer.get(timeout=10):
            raise error

    def check(self) -> dict[str, str]:
        """Return the status of each channel."""
        return self.notifier.supervisor.check()

    def channel(self, name: str) -> Channel:
        """Return a channel."""
        return self.notifier.supervisor.channels[name]

    def close(self) -> None:
        """End the thread, and close the notifier."""
        self._stopping.set()
        self.wake()
        self._thread.join()
        self.notifier.close()


Open = Callable[[Documents], RunningNotifier]


def hooks(**urls: str) -> Documents:
    """Return documents with a webhook at each URL, and one route to the channel `one`."""
    lines = [f"  {name}: {{ type: webhook, url: '{url}' }}" for name, url in urls.items()]
    return documents("\n".join(["channels:", *lines, "routes: [{ channels: [one] }]"]))


@pytest.fixture
def begin(
    database: Database, redis: Redis, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Open]:
    """Yield what starts a notifier with the given documents."""
    assert redis.ping()
    monkeypatch.setattr(channel_tests, "BLOCK_S", 0.05)  # `close` waits for it
    opened: list[RunningNotifier] = []

    def go(read: Documents) -> RunningNotifier:
        opened.append(RunningNotifier(read, database, partial(connect_redis, valkey_url)))
        return opened[-1]

    yield go
    for one in opened:
        one.close()


@pytest.fixture
def other() -> Iterator[WebhookReceiver]:
    receiver = WebhookReceiver()
    yield receiver
    receiver.close()


def happen(database: Database, *alerts: str) -> None:
    """Let alerts open now."""
    story = PlanningHarness(database, "{}")
    story.now = clock.now()
    for alert in alerts:
        story.open(alert, dispatch=False)


def test_from_a_wake_to_the_receiver(database: Database, begin: Open, receiver: WebhookReceiver) -> None:
    """A wake sends the notification of a new event, and /health shows idle channels."""
    running = begin(hooks(one=receiver.url))
    happen(database, "a1")
    running.wake()
    time_until(lambda: states(database) == ["SENT"])
    assert [body["id"] for body in receiver.bodies] == ["a1"]
    time_until(lambda: running.check() == {"one": "idle", "watchdog:itself": "idle"})
    assert running.notifier.dispatcher.check() == "dispatching"


def published(redis: Redis) -> dict[str, ChannelStatus]:
    """Return the statuses in Redis by channel."""
    data = redis.get(CHANNELS)
    found = msgspec.json.decode(data, type=ChannelStatuses).channels if data else ()
    return {status.name: status for status in found}


def test_status_in_redis(database: Database, begin: Open, redis: Redis, receiver: WebhookReceiver) -> None:
    """Each channel's kind, destination and activity are published, with the error while it fails."""
    receiver.answers = [(503, {"Retry-After": "30"})]
    running = begin(hooks(one=receiver.url))
    time_until(lambda: [*published(redis)] == ["one"])
    idle = published(redis)["one"]
    assert (idle.type, idle.destination, idle.activity) == ("webhook", "127.0.0.1", "idle")
    assert (idle.error, idle.failing_since, idle.paused_until) == ("", None, None)
    happen(database, "a1")
    running.wake()
    time_until(lambda: published(redis)["one"].activity == "paused")
    failing = published(redis)["one"]
    assert failing.error == "receiver returned 503 Service Unavailable: ok"
    assert failing.failing_since
    assert failing.paused_until
    assert (failing.paused_until - failing.failing_since).total_seconds() == pytest.approx(30, abs=1)


def test_response_is_kept(database: Database, begin: Open, receiver: WebhookReceiver) -> None:
    """The history of a channel has what the receiver answered."""
    running = begin(hooks(one=receiver.url))
    happen(database, "a1")
    running.wake()
    time_until(lambda: states(database) == ["SENT"])
    with database.read() as connection:
        [sent] = list_deliveries(connection, "one", DeliveryFilter(), 10)
    assert (sent.response, sent.last_error) == ("200 OK: ok", None)


def test_reload_adds_a_channel(
    database: Database, begin: Open, receiver: WebhookReceiver, other: WebhookReceiver
) -> None:
    """After a reload a new channel receives, and a removed one no longer does."""
    running = begin(hooks(two=other.url, one=receiver.url))
    added = documents(
        f"channels: {{ one: {{ url: '{receiver.url}' }}, new: {{ url: '{other.url}' }} }}\n"
        "routes: [{ channels: [new] }]"
    )
    running.reload(added)
    happen(database, "a1")
    running.wake()
    time_until(lambda: other.bodies)
    assert set(running.check()) == {"one", "new", "watchdog:itself"}
    assert receiver.bodies == []


def test_reload_changes_an_address(
    database: Database, begin: Open, receiver: WebhookReceiver, other: WebhookReceiver
) -> None:
    """A channel with a new URL is not paused by the failures of the old one."""
    receiver.answers = [(429, {"Retry-After": "3600"})]
    running = begin(hooks(one=receiver.url))
    happen(database, "a1")
    running.wake()
    time_until(lambda: "paused" in running.check()["one"])
    running.reload(hooks(one=other.url))
    happen(database, "a2")
    running.wake()
    time_until(lambda: [body["id"] for body in other.bodies] == ["a2"])
    assert states(database, "a1") == ["PENDING"]


def test_reload_keeps_unchanged_channels(
    begin: Open, receiver: WebhookReceiver, other: WebhookReceiver
) -> None:
    """A reload replaces only the channels whose section changed, and ends their threads."""
    running = begin(hooks(one=receiver.url, two=other.url))
    before = {name: running.channel(name) for name in ("one", "two")}
    running.reload(hooks(one=receiver.url, two=receiver.url))
    assert running.channel("one") is before["one"]
    assert running.channel("two") is not before["two"]
    assert not any(worker.thread.is_alive() for worker in before["two"].workers)


def test_invalid_config_changes_nothing(database: Database, begin: Open, receiver: WebhookReceiver) -> None:
    """A reload with an invalid channel is rejected, and all others keep delivering."""
    running = begin(hooks(one=receiver.url))
    wrong = documents(
        "channels: { one: { url: 'http://127.0.0.1:9/' }, odd: { type: webhook, url: 'gopher://x' } }\n"
        "routes: [{ channels: [odd] }]"
    )
    with pytest.raises(InvalidError, match="odd"):
        running.reload(wrong)
    happen(database, "a1")
    running.wake()
    time_until(lambda: [body["id"] for body in receiver.bodies] == ["a1"])
    assert set(running.check()) == {"one", "watchdog:itself"}


def test_reload_with_a_locked_database(
    database: Database, begin: Open, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reload that fails on a locked database can be repeated, and the new channel delivers."""

    def locked(*_: object) -> None:
        raise OperationalError("UPDATE", {}, Exception("database is locked"))

    running = begin(documents())
    with monkeypatch.context() as patch:
        patch.setattr(channel_supervisor, "suppress_unserved", locked)
        with pytest.raises(OperationalError):
            running.reload(hooks(one=receiver.url))
    running.reload(hooks(one=receiver.url))
    write_deliveries(database, "one", make_notice())
    time_until(lambda: receiver.bodies)


def test_reload_removes_a_channel(
    database: Database, begin: Open, receiver: WebhookReceiver, other: WebhookReceiver
) -> None:
    """Pending deliveries of a removed channel are suppressed, and the alert about it is resolved."""
    other.answers = [(503, {"Retry-After": "3600"})] * 9
    running = begin(hooks(one=receiver.url, two=other.url))
    write_deliveries(database, "two", make_notice())
    trouble = channel_alert("two", "gone")
    with database.write() as connection:
        open_self_alert(connection, build_alert(trouble, "notifier", "http://page", clock.now()), NO_MUTES)
    running.reload(hooks(one=receiver.url))
    assert states(database)[0] == "SUPPRESSED"
    with database.read() as connection:
        assert open_by_fingerprint(connection, trouble.fingerprint) is None


def test_reload_keeps_alerts_about_served_channels(
    database: Database, begin: Open, receiver: WebhookReceiver
) -> None:
    """An alert about a channel that is still configured stays open."""
    running = begin(
        documents(f"channels: {{ one: {{ url: '{receiver.url}' }} }}\nroutes: [{{ channels: [] }}]")
    )
    trouble = channel_alert("one", "gone")
    with database.write() as connection:
        open_self_alert(connection, build_alert(trouble, "notifier", "http://page", clock.now()), NO_MUTES)
    running.reload(hooks(one=receiver.url, two=receiver.url))
    with database.read() as connection:
        assert open_by_fingerprint(connection, trouble.fingerprint)


def test_fallback_that_was_removed(database: Database, begin: Open, receiver: WebhookReceiver) -> None:
    """A delivery to a fallback that is no longer configured is suppressed."""
    receiver.answers = [(404, {})]
    begin(hooks(one=receiver.url))
    write_deliveries(database, "one", make_notice(), fallback=("removed",))
    time_until(lambda: states(database)[:1] == ["FAILED"])
    time_until(lambda: "SUPPRESSED" in states(database))


def test_start_suppresses_deliveries_of_removed_channels(
    database: Database, begin: Open, receiver: WebhookReceiver
) -> None:
    """What an earlier process left for channels that are gone is suppressed at start."""
    write_deliveries(database, "old", make_notice())
    begin(hooks(one=receiver.url))
    assert states(database)[0] == "SUPPRESSED"


def test_suppressed_deliveries_are_counted(
    database: Database, begin: Open, receiver: WebhookReceiver
) -> None:
    """A muted notification is counted as suppressed with the reason, and is not sent."""

    def suppressed() -> float:
        labels = {"channel": "one", "outcome": "suppressed", "reason": "muted"}
        return REGISTRY.get_sample_value("botwatch_notifications_total", labels) or 0.0

    before = suppressed()
    running = begin(hooks(one=receiver.url))
    PlanningHarness(database, "{}").open("a1", muted_by="maintenance", dispatch=False)
    running.wake()
    time_until(lambda: suppressed() == before + 1)
    assert receiver.bodies == []


def test_health_names_a_channel_without_threads(begin: Open, receiver: WebhookReceiver) -> None:
    """A channel whose thread has exited fails the health check by name."""
    running = begin(hooks(one=receiver.url))
    running.channel("one").stop()  # as if its thread had ended
    assert running.channel("one").join(5)
    with pytest.raises(RuntimeError, match="one: RuntimeError: delivery thread has exited"):
        running.check()


def test_each_worker_has_its_own_transport(begin: Open, receiver: WebhookReceiver) -> None:
    """With `concurrency: 4` there are four transports."""
    running = begin(
        documents(f"channels: {{ one: {{ type: webhook, url: '{receiver.url}', concurrency: 4 }} }}")
    )
    workers = running.channel("one").workers
    assert len({id(worker._transport) for worker in workers}) == 4  # noqa: SLF001 - what it was made of
