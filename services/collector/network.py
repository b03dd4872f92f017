"""Network: the byte counters of /proc/net/dev and the rates between two of them. Pure."""

from typing import NamedTuple

PASSED_ON = ("lo", "veth", "docker", "br-", "virbr", "ifb", "cni", "flannel", "cali", "tun", "tap", "bond")
"""Beginnings of interface names whose bytes stay on this machine or pass another interface once more."""
_SENT = 8
"""The column of sent bytes; received bytes stand in the first."""


class Totals(NamedTuple):
    """Bytes since the interfaces came up."""

    received: int
    sent: int


class Rates(NamedTuple):
    """Bytes per second."""

    received: float
    sent: float


def parse_net_dev(text: str) -> Totals:
    """Add up the interfaces that carry the machine's own traffic; a VLAN's bytes are its parent's."""
    received = sent = 0
    for line in text.splitlines():
        name, colon, counters = line.partition(":")
        name = name.strip()
        if not colon or name.startswith(PASSED_ON) or "." in name:
            continue
        columns = counters.split()
        received += int(columns[0])
        sent += int(columns[_SENT])
    return Totals(received, sent)


def rates(before: Totals, after: Totals, seconds: float) -> Rates | None:
    """Return the rates between two readings; None when a counter fell, as when an interface went away."""
    received, sent = after.received - before.received, after.sent - before.sent
    if received < 0 or sent < 0 or seconds <= 0:
        return None
    return Rates(received / seconds, sent / seconds)
