"""Positions in the log: the ids of its entries, `<epoch ms>-<sequence>`, compared as Redis does."""

START = "0-0"
"""Before every entry."""


def is_after(entry: str, position: str) -> bool:
    """Say whether log entry `entry` comes after `position` (both `<ms>-<sequence>`)."""
    return split_id(entry) > split_id(position)


def clamp_to_newest(position: str, newest: str) -> str:
    """Return `position`, or the start when it lies after the log's newest entry.

    Such a position is from another life of the log: Redis came back without its data and with a clock that is
    behind. Skipping up to it would lose records without a word.
    """
    return START if is_after(position, newest) else position


def split_id(entry: str) -> tuple[int, int]:
    """Return a position's moment (epoch milliseconds) and its place within that; positions sort by both."""
    milliseconds, _, sequence = entry.partition("-")
    return int(milliseconds), int(sequence or 0)
