"""Network: the counters of /proc/net/dev and the rates between two of them. Pure."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

VIRTUAL_INTERFACES = (
    *("bond", "br", "cali", "cni", "docker", "flannel", "ifb", "lo", "tailscale", "tap", "tun", "veth"),
    *("virbr", "vnet", "wg", "zt"),
)
"""Beginnings of interface names whose bytes stay on this machine or pass another interface once more."""
_ERRORS, _DROPS, _SENT = 2, 3, 8
"""Columns: received bytes stand in the first, and as many columns later all of it again for what was sent."""


class InterfaceCounters(NamedTuple):
    """Bytes since the interface came up, and packets in either direction that were faulty or dropped."""

    received: int
    sent: int
    errors: int
    drops: int


class NetworkRates(NamedTuple):
    """Bytes and packets per second."""

    received: float
    sent: float
    errors: float
    drops: float


def parse_net_dev(text: str) -> dict[str, InterfaceCounters]:
    """Read all interfaces."""
    found = {}
    for line in text.splitlines():
        name, colon, counters = line.partition(":")
        if not colon:
            continue
        columns = [int(column) for column in counters.split()]
        found[name.strip()] = InterfaceCounters(
            received=columns[0],
            sent=columns[_SENT],
            errors=columns[_ERRORS] + columns[_SENT + _ERRORS],
            drops=columns[_DROPS] + columns[_SENT + _DROPS],
        )
    return found


def external_interfaces(
    interfaces: Mapping[str, InterfaceCounters], physical: Collection[str]
) -> dict[str, InterfaceCounters]:
    """Keep the interfaces by which bytes leave this machine or reach it: the `physical` ones.

    What bridges, tunnels, VLANs and bonds carry passes one of them once more. A container has none: there
    names tell.
    """
    if physical:
        return {name: counters for name, counters in interfaces.items() if name in physical}
    return {
        name: counters
        for name, counters in interfaces.items()
        if not name.startswith(VIRTUAL_INTERFACES) and "." not in name
    }


def network_rates(
    before: Mapping[str, InterfaceCounters], after: Mapping[str, InterfaceCounters], seconds: float
) -> NetworkRates | None:
    """Add up the interfaces that were there both times, and whose counters did not fall.

    None when there is none of them, as when the only one came up anew.
    """
    deltas = [
        [new - old for old, new in zip(before[name], counters, strict=True)]
        for name, counters in after.items()
        if name in before
    ]
    deltas = [delta for delta in deltas if min(delta) >= 0]
    if not deltas:
        return None
    return NetworkRates(*(round(sum(column) / seconds, 3) for column in zip(*deltas, strict=True)))
