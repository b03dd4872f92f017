"""A name that must resolve, perhaps to an address that is known."""

import ipaddress
import time
from collections.abc import Sequence
from datetime import datetime

from services.collector.checks.base import CheckResult, Probe
from services.collector.host.watched_host import WatchedHost
from shared.runtime.config.check_sections import DnsSection
from shared.runtime.http.dial import NetworkError, resolve_host
from shared.schema.records import CheckType

MAX_NAMED = 8


def create_probe(section: DnsSection, timeout_s: float, place: WatchedHost) -> Probe:
    """Make the probe of `section`; ValueError when what is expected is no address."""
    del place  # The resolver is the collector's own.
    return DnsProbe(section, timeout_s)


class DnsProbe:
    """Uses the system's resolver, as the bots do: /etc/hosts counts."""

    type: CheckType = "dns"

    def __init__(self, section: DnsSection, timeout_s: float) -> None:
        self._name = section.name
        self._expected = [str(ipaddress.ip_address(one)) for one in section.expect]
        self._timeout_s = timeout_s

    def run(self, now: datetime) -> CheckResult:
        """Run once."""
        del now
        began = time.monotonic()
        try:
            addresses = resolve_host(self._name, 0, began + self._timeout_s)
        except NetworkError as error:
            return CheckResult("critical", error.text, error.reason)
        took_ms = 1000 * (time.monotonic() - began)
        found = list(dict.fromkeys(str(address[4][0]) for address in addresses))
        return evaluate_addresses(self._name, found, self._expected)._replace(
            figures={"check_latency_ms": took_ms, "dns_ms": took_ms}
        )


def evaluate_addresses(name: str, found: Sequence[str], expected: Sequence[str]) -> CheckResult:
    """Compare the addresses with those of which one must be among them. Pure."""
    known = {str(ipaddress.ip_address(one.partition("%")[0])) for one in found}
    resolved = ", ".join(found[:MAX_NAMED]) + (", …" if len(found) > MAX_NAMED else "")
    if expected and known.isdisjoint(expected):
        text = f"{name} is {resolved}, expected {' or '.join(expected)}"
        return CheckResult("critical", text, "changed")
    return CheckResult("ok", f"{name} is {resolved}")
