"""Recorder: writes every record of the log to SQLite, and computes the bots' figures from them."""
