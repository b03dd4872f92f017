"""Probes: a module for each kind of thing that is looked at, with `probe(section, timeout_s, place)`."""
