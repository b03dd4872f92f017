"""The hub: filters, frames, and clients that do not keep up."""

import json

from services.broadcaster import hub
from services.broadcaster.hub import Client, Entry, Filter, Head, Hub, Message, frames

ALL = Filter()
BIG = 10**9


def message(name: str, head: Head | None = None) -> Message:
    return Message(json.dumps(name).encode(), lambda: head or Head("equity", "demo"))


def entry(*names: str) -> Entry:
    return [message(name) for name in names]


def received(client: Client) -> list[list[str]]:
    """Take everything that waits for `client`, a list per frame."""
    found = []
    while frame := client.take():
        found.append(json.loads(frame.data))
        assert frame.messages == len(found[-1])
    return found


def test_a_ticks_messages_share_one_frame_in_order() -> None:
    listeners, client = Hub(), Client(ALL, BIG)
    listeners.join(client)
    assert listeners.publish([entry("a", "b"), entry("c")]) == [client]
    assert received(client) == [["a", "b", "c"]]


def test_only_who_has_joined_and_not_left_receives() -> None:
    listeners, stays, leaves = Hub(), Client(ALL, BIG), Client(ALL, BIG)
    listeners.join(stays)
    listeners.join(leaves)
    listeners.leave(leaves)
    listeners.leave(leaves)
    listeners.publish([entry("a")])
    assert received(stays) == [["a"]]
    assert received(leaves) == []
    assert len(listeners) == 1


def test_a_filter_chooses_by_kind_subject_and_severity_of_alerts() -> None:
    high, low = Head("alert", "demo", "HIGH"), Head("alert", "demo", "LOW")
    equity, other = Head("equity", "demo"), Head("equity", "other")
    assert all(ALL.wants(head) for head in (high, low, equity, other))
    kinds = Filter(kinds=frozenset({"alert"}))
    assert kinds.wants(high)
    assert not kinds.wants(equity)
    subjects = Filter(subjects=frozenset({"demo"}))
    assert subjects.wants(equity)
    assert not subjects.wants(other)
    severities = Filter(severities=frozenset({"HIGH"}))
    assert severities.wants(high)
    assert not severities.wants(low)
    assert severities.wants(equity)


def test_a_frame_is_made_once_for_all_clients_with_the_same_filter() -> None:
    reads: list[str] = []

    def read() -> Head:
        reads.append("read")
        return Head("equity", "demo")

    listeners = Hub()
    wanted = Filter(kinds=frozenset({"equity"}))
    clients = [Client(wanted, BIG) for _ in range(3)] + [Client(Filter(frozenset({"demo"})), BIG)]
    for client in clients:
        listeners.join(client)
    listeners.publish([[Message(b"1", read)]])
    first, second, third, _ = (client.take() for client in clients)
    assert first is second is third
    assert reads == ["read"]


def test_nothing_is_sent_and_no_head_is_read_where_nothing_is_wanted() -> None:
    def read() -> Head:
        raise AssertionError("nobody asked")

    assert frames([[Message(b"1", read)]], ALL)[0].data == b"[1]"
    listeners, client = Hub(), Client(Filter(kinds=frozenset({"alert"})), BIG)
    listeners.join(client)
    assert listeners.publish([entry("a")]) == []


def test_frames_are_cut_between_entries_and_never_inside_one() -> None:
    long = "x" * (hub.FRAME_BYTES // 2)
    made = [json.loads(frame.data) for frame in frames([entry("a"), entry(long, long, "b"), entry("c")], ALL)]
    assert made == [["a"], [long, long, "b"], ["c"]]


def test_a_client_over_its_bound_is_dropped_alone_and_forgotten() -> None:
    listeners, slow, quick = Hub(), Client(ALL, 10), Client(ALL, 10)
    listeners.join(slow)
    listeners.join(quick)
    for _ in range(2):
        listeners.publish([entry("abcd")])
        received(quick)
    assert slow.dropped
    assert slow.take() is None
    assert not quick.dropped
    assert listeners.publish([entry("x")]) == [quick]


def test_what_was_taken_no_longer_counts() -> None:
    client = Client(ALL, 10)
    for _ in range(5):
        client.offer(hub.Frame(b"12345678", 1))
        client.take()
    assert not client.dropped
