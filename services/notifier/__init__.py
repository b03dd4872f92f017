"""Notifier: delivers what stands in the outbox, channel by channel, until it is taken or a day has passed."""
