"""Plumbing that every part needs: settings, documents, logs, metrics, health, Redis, the log, the clock."""
