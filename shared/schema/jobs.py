"""Jobs on RQ, named as strings so that a producer never imports a worker. From: evaluator. To: notifier."""

NOTIFY_QUEUE = "botwatch-notify"

DRAIN = "services.notifier.jobs.drain"
"""`drain(channel)`: deliver what is due for one channel."""

JOBS = {DRAIN: NOTIFY_QUEUE}
"""Every job and the queue it runs on."""


def drain_id(channel: str) -> str:
    """Return the id under which a channel's drain is queued at most once."""
    return f"drain-{channel}"
