"""The hub: filters, frames, and clients that do not keep up."""

import json

from services.broadcaster import hub
from services.broadcaster.hub import ClientFilter, Entry, Hub, HubClient, MessageHead, StreamMessage, frames

ALL = ClientFilter()
BIG = 10**9


def message(name: str, head: MessageHead | None = None) -> StreamMessage:
    return StreamMessage(json.dumps(name).encode(), lambda: head or MessageHead("equity", "demo"))


def entry(*names: str) -> Entry:
    return [message(name) for name in names]


def received(client: HubClient) -> list[list[str]]:
    """Take everything that waits for `client`, a list per frame."""
    found = []
    while frame := client.dequeue():
        found.append(json.loads(frame.data))
        assert frame.messages == len(found[-1])
    return found


def test_a_ticks_messages_share_one_frame_in_order() -> None:
    listeners, client = Hub(), HubClient(ALL, BIG)
    listeners.join(client)
    assert listeners.publish([entry("a", "b"), entry("c")]) == [client]
    assert received(client) == [["a", "b", "c"]]


def test_only_joined_clients_receive_messages() -> None:
    listeners, stays, leaves = Hub(), HubClient(ALL, BIG), HubClient(ALL, BIG)
    listeners.join(stays)
    listeners.join(leaves)
    listeners.leave(leaves)
    listeners.leave(leaves)
    listeners.publish([entry("a")])
    assert received(stays) == [["a"]]
    assert received(leaves) == []
    assert len(listeners) == 1


def test_a_filter_chooses_by_kind_subject_and_severity_of_alerts() -> None:
    high, low = MessageHead("alert", "demo", "HIGH"), MessageHead("alert", "demo", "LOW")
    equity, other = MessageHead("equity", "demo"), MessageHead("equity", "other")
    assert all(ALL.matches(head) for head in (high, low, equity, other))
    kinds = ClientFilter(kinds=frozenset({"alert"}))
    assert kinds.matches(high)
    assert not kinds.matches(equity)
    subjects = ClientFilter(subjects=frozenset({"demo"}))
    assert subjects.matches(equity)
    assert not subjects.matches(other)
    severities = ClientFilter(severities=frozenset({"HIGH"}))
    assert severities.matches(high)
    assert not severities.matches(low)
    assert severities.matches(equity)


def test_a_frame_is_made_once_for_all_clients_with_the_same_filter() -> None:
    reads: list[str] = []

    def read() -> MessageHead:
        reads.append("read")
        return MessageHead("equity", "demo")

    listeners = Hub()
    wanted = ClientFilter(kinds=frozenset({"equity"}))
    clients = [HubClient(wanted, BIG) for _ in range(3)] + [HubClient(ClientFilter(frozenset({"demo"})), BIG)]
    for client in clients:
        listeners.join(client)
    listeners.publish([[StreamMessage(b"1", read)]])
    first, second, third, _ = (client.dequeue() for client in clients)
    assert first is second is third
    assert reads == ["read"]


def test_without_matching_clients_no_message_head_is_read() -> None:
    def read() -> MessageHead:
        raise AssertionError("nobody asked")

    assert frames([[StreamMessage(b"1", read)]], ALL)[0].data == b"[1]"
    listeners, client = Hub(), HubClient(ClientFilter(kinds=frozenset({"alert"})), BIG)
    listeners.join(client)
    assert listeners.publish([entry("a")]) == []


def test_frames_are_cut_between_entries_and_never_inside_one() -> None:
    long = "x" * (hub.FRAME_BYTES // 2)
    made = [json.loads(frame.data) for frame in frames([entry("a"), entry(long, long, "b"), entry("c")], ALL)]
    assert made == [["a"], [long, long, "b"], ["c"]]


def test_only_the_client_over_its_queue_limit_is_dropped() -> None:
    listeners, slow, quick = Hub(), HubClient(ALL, 10), HubClient(ALL, 10)
    listeners.join(slow)
    listeners.join(quick)
    for _ in range(2):
        listeners.publish([entry("abcd")])
        received(quick)
    assert slow.dropped
    assert slow.dequeue() is None
    assert not quick.dropped
    assert listeners.publish([entry("x")]) == [quick]


def test_sent_frames_no_longer_count_towards_the_limit() -> None:
    client = HubClient(ALL, 10)
    for _ in range(5):
        client.enqueue(hub.Frame(b"12345678", 1))
        client.dequeue()
    assert not client.dropped
