"""Timeouts and retries of every way to Botwatch."""

TIMEOUT_S = 5.0
"""Of one attempt."""
RETRIES = 3
FIRST_RETRY_S = 0.1
MAX_WAIT_S = 2.0
"""Longest pause between two attempts; pauses double from `FIRST_RETRY_S`."""
