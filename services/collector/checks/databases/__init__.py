"""Database checks: SQLite, PostgreSQL, Redis and Valkey."""
