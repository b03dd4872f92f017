"""Jobs on RQ, named as strings so that a producer never imports a worker. From: evaluator. To: notifier."""

from shared.schema import streams

NOTIFY_QUEUE = "botwatch-notify"

DISPATCH = "services.notifier.jobs.dispatch"
"""`dispatch()`: tell people of what has happened to alerts, and deliver what is due."""

JOBS = {DISPATCH: NOTIFY_QUEUE}
"""Every job and the queue it runs on."""

WAKE = f"{streams.PREFIX}:wake"
"""The key that stands in Redis from a dispatch's enqueueing to its start: at most one waits."""
