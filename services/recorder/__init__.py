"""Recorder: writes every record of the log to SQLite, and computes the bots' metrics from them."""
