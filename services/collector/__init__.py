"""Collector: looks at the host every few seconds and reports what it sees as `health` records."""
