"""Collector: samples the host every few seconds, runs checks, and sends `health` and `check` records."""
