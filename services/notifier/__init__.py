"""Notifier: plans and delivers notifications, per channel, with retries for a day."""
