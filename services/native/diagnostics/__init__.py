"""Diagnostics: what may be wrong with an installation, before its start and while it runs."""
