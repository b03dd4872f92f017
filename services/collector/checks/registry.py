"""Registry: from the sections of `health_monitor.json` to what is watched.

A kind's probe is made by the module of its name in `probes`: `probe(section, timeout_s, place)`, where the
section is the whole `CheckSection`, the completed `ExchangeSection`, or the `SecuritySection`. The module is
imported only where it is used: a host without exchanges needs no WebSockets in memory.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from services.collector.checks import container, dns, http, port, process, systemd, tcp
from services.collector.checks.base import Probe
from services.collector.checks.certificates import certificate_check
from services.collector.checks.databases import database_check
from services.collector.checks.exchange import exchange_check, status_page
from services.collector.checks.exchange.presets import apply_preset
from services.collector.checks.scheduler import ScheduledCheck
from services.collector.checks.security import (
    failed_logins,
    file_integrity,
    listening_ports,
    secret_files,
    sudo,
)
from services.collector.host.watched_host import WatchedHost
from shared.runtime.config.check_sections import CheckSection, ExchangeSection, SecuritySection
from shared.runtime.config.documents import MonitoringSection, Resource
from shared.schema.durations import Duration, milliseconds
from shared.schema.faults import Fault, InvalidError

DOCUMENT = "health_monitor.json: $.monitoring"
MAX_TIMEOUT_S = 10.0
"""Of a check that does not set its own."""
RESOURCE_BY_TYPE: dict[str, Resource] = {
    **dict.fromkeys(("process", "systemd", "container"), "processes"),
    **dict.fromkeys(("http", "tcp", "dns", "port", "exchange", "status_page"), "network"),
}
"""What `enabledChecks` must have for a kind."""
SECURITY = {
    "logins": ("failed-logins", "failed_logins"),
    "listening": ("listening-ports", "listening"),
    "sudo": ("sudo", "sudo"),
    "file": ("files", "files"),
    "secret": ("secrets", "secrets"),
}
"""The name of each check of the section `security`, and the key that switches it on."""

ProbeFactory = Callable[[Any, float, WatchedHost], Probe]
"""Of the section that the check stands in, its timeout in seconds, and the host."""
PROBES: Mapping[str, ProbeFactory] = {
    "certificate": certificate_check.create_probe,
    "container": container.create_probe,
    "database": database_check.create_probe,
    "dns": dns.create_probe,
    "exchange": exchange_check.create_probe,
    "file": file_integrity.create_probe,
    "http": http.create_probe,
    "listening": listening_ports.create_probe,
    "logins": failed_logins.create_probe,
    "port": port.create_probe,
    "process": process.create_probe,
    "secret": secret_files.create_probe,
    "status_page": status_page.create_probe,
    "sudo": sudo.create_probe,
    "systemd": systemd.create_probe,
    "tcp": tcp.create_probe,
}
"""What makes the probes of each kind of check."""


def probe_factory(kind: str) -> ProbeFactory:
    """Return what makes probes of a kind."""
    return PROBES[kind]


def load_checks(section: MonitoringSection, place: WatchedHost) -> list[ScheduledCheck]:
    """Return every check that is switched on; InvalidError names all that cannot be made."""
    faults: list[Fault] = []
    watched: dict[str, ScheduledCheck] = {}
    for path, name, make in _check_plans(section, place):
        if name in watched:
            faults.append(Fault(path, f"expected checks of different names, got {name!r} twice"))
            continue
        try:
            watched[name] = make(name)
        except ValueError as error:
            faults.append(Fault(path, str(error)))
    if faults:
        raise InvalidError(faults)
    return list(watched.values())


CheckPlan = tuple[str, str, Callable[[str], ScheduledCheck]]
"""A check's place in the document, its name, and what makes it under that name."""


def _check_plans(section: MonitoringSection, place: WatchedHost) -> Iterator[CheckPlan]:
    for name, check in section.checks.items():
        if required_resource(check) in (None, *section.enabled_checks):
            yield f"{DOCUMENT}.checks.{name}", name, partial(_check, check, place)
    if "network" in section.enabled_checks:
        for name, exchange in section.exchanges.items():
            yield from _exchange(name, exchange, place)
    if security := section.security:
        for kind, (name, key) in SECURITY.items():
            if getattr(security, key):
                yield f"{DOCUMENT}.security.{key}", name, partial(_security_check, kind, security, place)


def required_resource(check: CheckSection) -> Resource | None:
    """Return what `enabledChecks` must have for a check; a certificate in a file needs no network."""
    if check.certificate is not None:
        return None if check.certificate.address is None else "network"
    return RESOURCE_BY_TYPE.get(check.kind)


def _exchange(name: str, section: ExchangeSection, place: WatchedHost) -> Iterator[CheckPlan]:
    path = f"{DOCUMENT}.exchanges.{name}"
    yield path, name, partial(_exchange_check, section, place)
    try:
        page = apply_preset(name, section).status_page
    except ValueError:
        return  # the exchange itself is refused for it
    if page:
        check = CheckSection(
            status_page=page,
            every=section.every,
            timeout=section.timeout,
            failures=section.failures,
            severity=section.severity,
        )
        yield path, f"{name[:121]}-status", partial(_check, check, place)


def _exchange_check(section: ExchangeSection, place: WatchedHost, name: str) -> ScheduledCheck:
    return _scheduled(name, "exchange", apply_preset(name, section), section, place)


def _check(check: CheckSection, place: WatchedHost, name: str) -> ScheduledCheck:
    return _scheduled(name, check.kind, check, check, place)


def _scheduled(
    name: str, kind: str, subject: object, times: CheckSection | ExchangeSection, place: WatchedHost
) -> ScheduledCheck:
    every_s = _seconds(times.every)
    timeout_s = min(every_s, MAX_TIMEOUT_S) if times.timeout is None else _seconds(times.timeout)
    probe = probe_factory(kind)(subject, timeout_s, place)
    slow_ms = None if times.slow is None else milliseconds(times.slow)
    return ScheduledCheck(name, probe, every_s, timeout_s, times.failures, times.severity, slow_ms)


def _security_check(kind: str, section: SecuritySection, place: WatchedHost, name: str) -> ScheduledCheck:
    every_s = _seconds(section.every)
    timeout_s = min(every_s, MAX_TIMEOUT_S)
    # What happened counts at once: the next look does not see it again.
    return ScheduledCheck(name, probe_factory(kind)(section, timeout_s, place), every_s, timeout_s)


def _seconds(duration: Duration) -> float:
    return milliseconds(duration) / 1000
