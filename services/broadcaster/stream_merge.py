"""Positions in the streams, and the one order in which entries of several streams go out. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

StreamPosition = tuple[int, int]
"""An entry's id: milliseconds and sequence."""
StreamPositions = tuple[StreamPosition, ...]
"""How far each stream is delivered."""

START: StreamPosition = (0, 0)
_LAST_SEQUENCE = 2**64 - 1


class StreamEntryAt(NamedTuple):
    """An entry of one of the streams."""

    position: StreamPosition
    stream: int
    data: bytes


class MergedBatch(NamedTuple):
    """Entries in order, where that leaves each stream, and whether more may be there at once."""

    entries: list[StreamEntryAt]
    positions: StreamPositions
    more: bool


def parse_position(text: str | bytes) -> StreamPosition:
    """Read `<ms>-<sequence>`; the sequence may be missing."""
    words = text.decode() if isinstance(text, bytes) else text
    milliseconds, _, sequence = words.partition("-")
    return int(milliseconds), int(sequence or 0)


def format_position(position: StreamPosition) -> str:
    """Write what `parse` reads."""
    return f"{position[0]}-{position[1]}"


def before_millisecond(position: StreamPosition) -> StreamPosition:
    """Return the last position before the millisecond of `position`."""
    milliseconds = position[0]
    return (milliseconds - 1, _LAST_SEQUENCE) if milliseconds else START


def merge(found: Sequence[Sequence[StreamEntryAt]], positions: StreamPositions, count: int) -> MergedBatch:
    """Put what was read of each stream in one order.

    A stream of which `count` entries came may hold more; what other streams hold beyond its last one waits
    for the next reading, so that ids never go backwards.
    """
    ends = [entries[-1].position for entries in found if len(entries) >= count]
    horizon = min(ends, default=None)
    kept = [[entry for entry in entries if horizon is None or entry.position <= horizon] for entries in found]
    reached = tuple(
        entries[-1].position if entries else position
        for entries, position in zip(kept, positions, strict=True)
    )
    return MergedBatch(sorted(entry for entries in kept for entry in entries), reached, horizon is not None)
