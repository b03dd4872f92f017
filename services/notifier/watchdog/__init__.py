"""Watchdog: checks that every part works, and notifies out of band if the notifier cannot."""
