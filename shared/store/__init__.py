"""The store: tables and queries, SQLAlchemy Core. Every access to the databases goes through here."""
