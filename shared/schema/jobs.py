"""Jobs on RQ, named as strings so that a producer never imports a worker. From: evaluator. To: notifier."""

from shared.schema import streams

NOTIFY_QUEUE = "botwatch-notify"

DRAIN = "services.notifier.jobs.drain"
"""`drain(channel)`: deliver what is due for one channel."""

JOBS = {DRAIN: NOTIFY_QUEUE}
"""Every job and the queue it runs on."""


def wake_key(channel: str) -> str:
    """Return the key that stands in Redis from a drain's enqueueing to its start: at most one waits."""
    return f"{streams.PREFIX}:wake:{channel}"
