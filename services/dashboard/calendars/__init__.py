"""Calendars to subscribe to: shifts of the on-call rotations, and maintenance windows (RFC 5545)."""
