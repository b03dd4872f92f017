"""Recorder: writes every record of the log to SQLite."""
