"""Entry IDs of the log, `<epoch ms>-<sequence>`, compared as in Redis."""

START = "0-0"
"""Before every entry."""


def is_after(entry: str, position: str) -> bool:
    """Return whether log entry `entry` is after `position` (both `<ms>-<sequence>`)."""
    return split_id(entry) > split_id(position)


def clamp_to_newest(position: str, newest: str) -> str:
    """Return `position`, or the start if it is after the log's newest entry.

    Then Redis restarted without its data and with a clock that is behind: skipping to that position would
    lose records silently.
    """
    return START if is_after(position, newest) else position


def split_id(entry: str) -> tuple[int, int]:
    """Return the epoch milliseconds and the sequence of an entry ID; IDs sort by both."""
    milliseconds, _, sequence = entry.partition("-")
    return int(milliseconds), int(sequence or 0)
