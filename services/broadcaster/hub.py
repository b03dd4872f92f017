"""The hub: all clients with their filters and queues. Pure: no sockets, no Redis, no clock.

A tick's frame is built once per distinct filter, not once per client. A client that does not keep up is
dropped, so that it never delays others.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

FRAME_BYTES = 256 * 1024
"""Approximate limit of a frame; larger ticks are split. Many clients reject frames above 1 MiB."""


class MessageHead(NamedTuple):
    """The fields for filters: a record's kind or `alert`, the bot or host, an alert's severity."""

    kind: str
    subject: str | None
    severity: str | None = None


class ClientFilter(msgspec.Struct, frozen=True):
    """The filter of a client; an empty set means all. Severities apply to alerts only."""

    subjects: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    severities: frozenset[str] = frozenset()
    alive: bool = False
    """Whether the client requested keepalives."""

    @property
    def matches_all(self) -> bool:
        """Whether nothing is filtered."""
        return not (self.subjects or self.kinds or self.severities)

    def matches(self, head: MessageHead) -> bool:
        """Return whether a message with this head passes the filter."""
        if self.kinds and head.kind not in self.kinds:
            return False
        if self.subjects and head.subject not in self.subjects:
            return False
        return not self.severities or head.severity is None or head.severity in self.severities


class StreamMessage:
    """One message to send. Its head is parsed only when a filter needs it, and then once."""

    __slots__ = ("_head", "_read", "body")

    def __init__(self, body: bytes, read: Callable[[], MessageHead]) -> None:
        self.body = body
        self._read = read
        self._head: MessageHead | None = None

    @property
    def head(self) -> MessageHead:
        """The fields for filters."""
        if self._head is None:
            self._head = self._read()
        return self._head


class Frame(NamedTuple):
    """A JSON array to send, and its number of messages."""

    data: bytes
    messages: int


Entry = Sequence[StreamMessage]
"""The messages of one stream entry: they share a frame."""


def frames(entries: Iterable[Entry], wanted: ClientFilter) -> list[Frame]:
    """Return the frames with the messages that match `wanted`; no entry is split over two frames."""
    made: list[Frame] = []
    bodies: list[bytes] = []
    size = 0
    for entry in entries:
        chosen = [message.body for message in entry if wanted.matches_all or wanted.matches(message.head)]
        length = sum(map(len, chosen))
        if bodies and size + length > FRAME_BYTES:
            made.append(_frame(bodies))
            bodies, size = [], 0
        bodies += chosen
        size += length
    if bodies:
        made.append(_frame(bodies))
    return made


def _frame(bodies: list[bytes]) -> Frame:
    return Frame(b"[" + b",".join(bodies) + b"]", len(bodies))


class HubClient:
    """One client: its filter and its queue of frames, at most `limit` bytes."""

    def __init__(self, wanted: ClientFilter, limit: int) -> None:
        self.wanted = wanted
        self.dropped = False
        """Whether it exceeded its limit; it is then removed from the hub and its queue is cleared."""
        self._limit = limit
        self._frames: deque[Frame] = deque()
        self._bytes = 0

    def enqueue(self, frame: Frame) -> None:
        """Add a frame to the queue, or drop the client if that exceeds the limit."""
        self._frames.append(frame)
        self._bytes += len(frame.data)
        if self._bytes > self._limit:
            self.dropped = True
            self._frames.clear()
            self._bytes = 0

    @property
    def is_empty(self) -> bool:
        """Whether no frame is queued."""
        return not self._frames

    def dequeue(self) -> Frame | None:
        """Remove and return the next frame, None if there is none."""
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self._bytes -= len(frame.data)
        return frame


class Hub:
    """All clients, by filter."""

    def __init__(self) -> None:
        self._clients: dict[ClientFilter, set[HubClient]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._clients.values()))

    def join(self, client: HubClient) -> None:
        """Send `client` everything that is published from now on."""
        self._clients.setdefault(client.wanted, set()).add(client)

    def leave(self, client: HubClient) -> None:
        """Remove `client`; no effect if it is not in the hub."""
        group = self._clients.get(client.wanted, set())
        group.discard(client)
        if not group:
            self._clients.pop(client.wanted, None)

    def publish_keepalive(self, frame: Frame) -> list[HubClient]:
        """Queue `frame` for every client that requested keepalives, and return these clients."""
        touched = [client for wanted, group in self._clients.items() if wanted.alive for client in group]
        for client in touched:
            client.enqueue(frame)
            if client.dropped:
                self.leave(client)
        return touched

    def publish(self, entries: Sequence[Entry]) -> list[HubClient]:
        """Queue a tick's messages; return the clients that have new frames or were dropped."""
        touched: list[HubClient] = []
        for wanted, group in list(self._clients.items()):
            made = frames(entries, wanted)
            if not made:
                continue
            for client in list(group):
                for frame in made:
                    if not client.dropped:
                        client.enqueue(frame)
                if client.dropped:
                    self.leave(client)
                touched.append(client)
        return touched
