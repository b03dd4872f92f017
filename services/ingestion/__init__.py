"""Ingestion: the two doors through which records enter the log."""
