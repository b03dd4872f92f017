"""Positions in the streams, and the merge of several streams in one order. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

StreamPosition = tuple[int, int]
"""An entry ID: milliseconds and sequence."""
StreamPositions = tuple[StreamPosition, ...]
"""The position in each stream."""

START: StreamPosition = (0, 0)
_LAST_SEQUENCE = 2**64 - 1


class StreamEntryAt(NamedTuple):
    """An entry of one of the streams."""

    position: StreamPosition
    stream: int
    data: bytes


class MergedBatch(NamedTuple):
    """Entries in order, the positions after them, and whether more may be available at once."""

    entries: list[StreamEntryAt]
    positions: StreamPositions
    more: bool


def parse_position(text: str | bytes) -> StreamPosition:
    """Parse `<ms>-<sequence>`; the sequence is optional."""
    words = text.decode() if isinstance(text, bytes) else text
    milliseconds, _, sequence = words.partition("-")
    return int(milliseconds), int(sequence or 0)


def format_position(position: StreamPosition) -> str:
    """Return the position as `<ms>-<sequence>`."""
    return f"{position[0]}-{position[1]}"


def before_millisecond(position: StreamPosition) -> StreamPosition:
    """Return the last position before the millisecond of `position`."""
    milliseconds = position[0]
    return (milliseconds - 1, _LAST_SEQUENCE) if milliseconds else START


def merge(found: Sequence[Sequence[StreamEntryAt]], positions: StreamPositions, count: int) -> MergedBatch:
    """Merge the entries read from each stream into one order.

    A stream with `count` entries may have more; entries of other streams after its last one wait for the next
    read, so that IDs never decrease.
    """
    ends = [entries[-1].position for entries in found if len(entries) >= count]
    horizon = min(ends, default=None)
    kept = [[entry for entry in entries if horizon is None or entry.position <= horizon] for entries in found]
    reached = tuple(
        entries[-1].position if entries else position
        for entries, position in zip(kept, positions, strict=True)
    )
    return MergedBatch(sorted(entry for entries in kept for entry in entries), reached, horizon is not None)
