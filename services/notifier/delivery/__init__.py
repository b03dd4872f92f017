"""Delivery: planned notifications are sent channel by channel, retried, batched and rate limited."""
