"""Ingestion: validates records from HTTP and Redis and appends them to the log."""
