"""Backups of the databases, the config documents and the secrets: create, verify, keep, upload, restore."""
