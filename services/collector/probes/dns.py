"""A name that must resolve, perhaps to an address that is known."""

import ipaddress
import time
from collections.abc import Sequence
from datetime import datetime

from services.collector.connecting import ConnectError, resolve
from services.collector.place import Place
from services.collector.probe import Look, Probe
from shared.runtime.checks import CheckSection, DnsSection
from shared.schema.records import CheckType

MOST_NAMED = 8


def probe(section: CheckSection, timeout_s: float, place: Place) -> Probe:
    """Make the probe of `section.dns`; ValueError when what is expected is no address."""
    del place  # The resolver is the collector's own.
    if section.dns is None:
        raise TypeError("not a check of a name")
    return DnsProbe(section.dns, timeout_s)


class DnsProbe:
    """Asks the system's resolver, as the bots do: /etc/hosts counts."""

    type: CheckType = "dns"

    def __init__(self, section: DnsSection, timeout_s: float) -> None:
        self._name = section.name
        self._expected = [str(ipaddress.ip_address(one)) for one in section.expect]
        self._timeout_s = timeout_s

    def look(self, now: datetime) -> Look:
        """Look once."""
        del now
        began = time.monotonic()
        try:
            addresses = resolve(self._name, 0, began + self._timeout_s)
        except ConnectError as error:
            return Look("critical", error.text, error.reason)
        took_ms = 1000 * (time.monotonic() - began)
        found = list(dict.fromkeys(str(address[4][0]) for address in addresses))
        return judge(self._name, found, self._expected)._replace(
            figures={"check_latency_ms": took_ms, "dns_ms": took_ms}
        )


def judge(name: str, found: Sequence[str], expected: Sequence[str]) -> Look:
    """Compare the addresses with those of which one must be among them. Pure."""
    known = {str(ipaddress.ip_address(one.partition("%")[0])) for one in found}
    told = ", ".join(found[:MOST_NAMED]) + (", …" if len(found) > MOST_NAMED else "")
    if expected and known.isdisjoint(expected):
        text = f"{name} is {told}, expected {' or '.join(expected)}"
        return Look("critical", text, "changed")
    return Look("ok", f"{name} is {told}")
