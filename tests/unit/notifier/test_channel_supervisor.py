"""The office: channels come, go and change with the documents, while the others go on."""

from collections.abc import Callable, Iterator

import pytest
from prometheus_client import REGISTRY
from sqlalchemy.exc import OperationalError

from services.notifier.channel_supervisor import ChannelSupervisor
from services.notifier.delivery.channel_state import DeliveryContext, channel_alert
from services.notifier.self_alerts import build_alert, open_self_alert
from shared.runtime import clock
from shared.runtime.config.documents import Documents
from shared.schema.faults import InvalidError
from shared.store.alerts import open_by_fingerprint
from shared.store.database import Database
from tests.notification_planning import Silent
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

Open = Callable[[Documents], ChannelSupervisor]


def contents(_channel: str) -> FakeContent:
    return FakeContent()


def hooks(**urls: str) -> Documents:
    """Return documents with a webhook at each URL, and one route to the channel `one`."""
    lines = [f"  {name}: {{ type: webhook, url: '{url}' }}" for name, url in urls.items()]
    return documents("\n".join(["channels:", *lines, "routes: [{ channels: [one] }]"]))


@pytest.fixture
def begin(database: Database) -> Iterator[Open]:
    opened: list[ChannelSupervisor] = []

    def go(read: Documents) -> ChannelSupervisor:
        post = DeliveryContext(database, "here", lambda: 0.0, "http://page", lambda _: None)
        opened.append(ChannelSupervisor(read, contents, post, Silent()))  # type: ignore[arg-type]
        opened[-1].start()
        return opened[-1]

    yield go
    for office in opened:
        office.close()


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


def test_from_an_event_to_the_receiver(database: Database, begin: Open, receiver: WebhookReceiver) -> None:
    office = begin(hooks(one=receiver.url))
    happen(database, "a1")
    office.wake()
    time_until(lambda: states(database) == ["SENT"])
    assert [body["id"] for body in receiver.bodies] == ["a1"]
    time_until(lambda: office.check() == {"one": "idle", "watchdog:itself": "idle"})
    assert office.dispatcher.check() == "dispatching"


def test_a_channel_that_is_added_is_told_without_a_restart(
    database: Database, begin: Open, receiver: WebhookReceiver, other: WebhookReceiver
) -> None:
    office = begin(hooks(two=other.url, one=receiver.url))
    added = documents(
        f"channels: {{ one: {{ url: '{receiver.url}' }}, new: {{ url: '{other.url}' }} }}\n"
        "routes: [{ channels: [new] }]"
    )
    office.reload(added, contents)
    happen(database, "a1")
    office.wake()
    time_until(lambda: other.bodies)
    assert set(office.check()) == {"one", "new", "watchdog:itself"}
    assert receiver.bodies == []


def test_another_address_holds_at_once(
    database: Database, begin: Open, receiver: WebhookReceiver, other: WebhookReceiver
) -> None:
    receiver.answers = [(429, {"Retry-After": "3600"})]
    office = begin(hooks(one=receiver.url))
    happen(database, "a1")
    office.wake()
    time_until(lambda: "paused" in office.check()["one"])
    office.reload(hooks(one=other.url), contents)
    happen(database, "a2")
    office.wake()
    time_until(lambda: [body["id"] for body in other.bodies] == ["a2"])
    assert states(database, "a1") == ["PENDING"]


def test_channels_that_are_as_they_were_go_on_undisturbed(
    begin: Open, receiver: WebhookReceiver, other: WebhookReceiver
) -> None:
    office = begin(hooks(one=receiver.url, two=other.url))
    before = dict(office._channels)  # noqa: SLF001 - that they are the same ones is what is shown
    office.reload(hooks(one=receiver.url, two=receiver.url), contents)
    assert office._channels["one"] is before["one"]  # noqa: SLF001
    assert office._channels["two"] is not before["two"]  # noqa: SLF001
    assert not any(lane.thread.is_alive() for lane in before["two"].lanes)


def test_a_document_that_is_wrong_leaves_everything_as_it_was(
    database: Database, begin: Open, receiver: WebhookReceiver
) -> None:
    office = begin(hooks(one=receiver.url))
    wrong = documents(
        "channels: { one: { url: 'http://127.0.0.1:9/' }, odd: { type: webhook, url: 'gopher://x' } }\n"
        "routes: [{ channels: [odd] }]"
    )
    with pytest.raises(InvalidError, match="odd"):
        office.reload(wrong, contents)
    happen(database, "a1")
    office.wake()
    time_until(lambda: [body["id"] for body in receiver.bodies] == ["a1"])
    assert set(office.check()) == {"one", "watchdog:itself"}


def test_a_store_that_is_locked_during_a_reload_leaves_no_channel_unserved(
    database: Database, begin: Open, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> None:
        raise OperationalError("UPDATE", {}, Exception("database is locked"))

    office = begin(documents())
    with monkeypatch.context() as patch:
        patch.setattr(office.dispatcher, "suppress_unserved", locked)
        with pytest.raises(OperationalError):
            office.reload(hooks(one=receiver.url), contents)
    office.reload(hooks(one=receiver.url), contents)
    write_deliveries(database, "one", make_notice())
    time_until(lambda: receiver.bodies)


def test_of_a_channel_that_is_removed_what_waits_is_kept_back_and_its_trouble_ends(
    database: Database, begin: Open, receiver: WebhookReceiver, other: WebhookReceiver
) -> None:
    other.answers = [(503, {"Retry-After": "3600"})] * 9
    office = begin(hooks(one=receiver.url, two=other.url))
    write_deliveries(database, "two", make_notice())
    trouble = channel_alert("two", "gone")
    with database.write() as connection:
        open_self_alert(connection, build_alert(trouble, "notifier", "http://page", clock.now()))
    office.reload(hooks(one=receiver.url), contents)
    assert states(database)[0] == "SUPPRESSED"
    with database.read() as connection:
        assert open_by_fingerprint(connection, trouble.fingerprint) is None


def test_trouble_with_channels_that_are_served_goes_on_over_a_reload(
    database: Database, begin: Open, receiver: WebhookReceiver
) -> None:
    office = begin(
        documents(f"channels: {{ one: {{ url: '{receiver.url}' }} }}\nroutes: [{{ channels: [] }}]")
    )
    trouble = channel_alert("one", "gone")
    with database.write() as connection:
        open_self_alert(connection, build_alert(trouble, "notifier", "http://page", clock.now()))
    office.reload(hooks(one=receiver.url, two=receiver.url), contents)
    with database.read() as connection:
        assert open_by_fingerprint(connection, trouble.fingerprint)


def test_what_is_handed_on_to_a_channel_that_is_gone_does_not_wait_for_ever(
    database: Database, begin: Open, receiver: WebhookReceiver
) -> None:
    receiver.answers = [(404, {})]
    begin(hooks(one=receiver.url))
    write_deliveries(database, "one", make_notice(), fallback=("removed",))
    time_until(lambda: states(database)[:1] == ["FAILED"])
    time_until(lambda: "SUPPRESSED" in states(database))


def test_at_the_start_what_waits_for_channels_of_another_life_is_kept_back(
    database: Database, begin: Open, receiver: WebhookReceiver
) -> None:
    write_deliveries(database, "old", make_notice())
    begin(hooks(one=receiver.url))
    assert states(database)[0] == "SUPPRESSED"


def test_what_is_kept_back_is_counted_with_its_reason(
    database: Database, begin: Open, receiver: WebhookReceiver
) -> None:
    def suppressed() -> float:
        labels = {"channel": "one", "outcome": "suppressed", "reason": "muted"}
        return REGISTRY.get_sample_value("botwatch_notifications_total", labels) or 0.0

    before = suppressed()
    office = begin(hooks(one=receiver.url))
    PlanningHarness(database, "{}").open("a1", muted_by="maintenance", dispatch=False)
    office.wake()
    time_until(lambda: suppressed() == before + 1)
    assert receiver.bodies == []


def test_a_channel_that_nothing_delivers_to_any_more_is_named(begin: Open, receiver: WebhookReceiver) -> None:
    office = begin(hooks(one=receiver.url))
    office._channels["one"].stop()  # noqa: SLF001 - as if its thread had ended
    assert office._channels["one"].join(5)  # noqa: SLF001
    with pytest.raises(RuntimeError, match="one: RuntimeError: delivery thread has exited"):
        office.check()


def test_several_lanes_have_a_transport_each(begin: Open, receiver: WebhookReceiver) -> None:
    office = begin(
        documents(f"channels: {{ one: {{ type: webhook, url: '{receiver.url}', concurrency: 4 }} }}")
    )
    lanes = office._channels["one"].lanes  # noqa: SLF001 - what it was made of
    assert len({id(lane._transport) for lane in lanes}) == 4  # noqa: SLF001
