"""Outgoing connections with phases that are timed apart, deadlines and bounded answers."""
