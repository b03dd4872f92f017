"""Checks: one module per kind, the scheduler that runs them, and what becomes of their results."""
