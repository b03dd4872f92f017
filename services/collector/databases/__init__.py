"""Databases: a module for each kind that can be looked at."""
