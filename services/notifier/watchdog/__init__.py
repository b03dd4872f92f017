"""Watchdog: checks that every part works, and notifies out of band where the notifier cannot."""
