"""The HTTP API below /api/monitoring."""
