"""Fingerprints of label sets, computed as in Alertmanager, for its tools."""

from collections.abc import Mapping

OFFSET = 0xCBF29CE484222325
PRIME = 0x100000001B3
SEPARATOR = b"\xff"
"""A byte that UTF-8 never contains, so different label sets have different bytes."""


def fingerprint_of(labels: Mapping[str, str]) -> str:
    """Return 16 hex digits: FNV-1a 64 over the sorted labels, each `name 0xFF value 0xFF`."""
    value = OFFSET
    for name in sorted(labels):
        for byte in name.encode() + SEPARATOR + labels[name].encode() + SEPARATOR:
            value = (value ^ byte) * PRIME % 2**64
    return f"{value:016x}"
