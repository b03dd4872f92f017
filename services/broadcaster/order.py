"""Positions in the streams, and the one order in which entries of several streams go out. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

Position = tuple[int, int]
"""An entry's id: milliseconds and sequence."""
Positions = tuple[Position, ...]
"""How far each stream is delivered."""

START: Position = (0, 0)
_LAST_SEQUENCE = 2**64 - 1


class Found(NamedTuple):
    """An entry of one of the streams."""

    position: Position
    stream: int
    data: bytes


class Batch(NamedTuple):
    """Entries in order, where that leaves each stream, and whether more may be there at once."""

    entries: list[Found]
    positions: Positions
    more: bool


def parse(text: str | bytes) -> Position:
    """Read `<ms>-<sequence>`; the sequence may be missing."""
    words = text.decode() if isinstance(text, bytes) else text
    milliseconds, _, sequence = words.partition("-")
    return int(milliseconds), int(sequence or 0)


def write(position: Position) -> str:
    """Write what `parse` reads."""
    return f"{position[0]}-{position[1]}"


def before_millisecond(position: Position) -> Position:
    """Return the last position before the millisecond of `position`."""
    milliseconds = position[0]
    return (milliseconds - 1, _LAST_SEQUENCE) if milliseconds else START


def merge(found: Sequence[Sequence[Found]], positions: Positions, count: int) -> Batch:
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
    return Batch(sorted(entry for entries in kept for entry in entries), reached, horizon is not None)
