"""Registry: builds the checks that `health_monitor.json` configures.

`PROBES` maps each kind to the function that creates its probe from the kind's own section, the timeout in
seconds and the watched host. Adding a kind takes one module, its section in
`shared/runtime/config/check_sections.py`, which every part validates, and one line in that table.

Kinds that need a large library are imported when the first check of that kind is created: `cryptography` and
`websockets` would add 10 MB to every collector, used or not.
"""

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

from services.collector.checks import container, dns, http, port, process, systemd, tcp
from services.collector.checks.base import Probe
from services.collector.checks.databases import database_check
from services.collector.checks.exchange import status_page
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
from shared.runtime.config.check_sections import (
    CertificateSection,
    CheckSection,
    ExchangeSection,
    SecuritySection,
)
from shared.runtime.config.documents import MonitoringSection, Resource
from shared.runtime.encrypted_values import decrypt_section
from shared.schema.durations import Duration, milliseconds
from shared.schema.faults import Fault, InvalidError

DOCUMENT = "health_monitor.json: $.monitoring"
MAX_TIMEOUT_S = 10.0
"""Timeout of a check without its own, unless its interval is shorter."""
RESOURCE_BY_TYPE: dict[str, Resource] = {
    **dict.fromkeys(("process", "systemd", "container"), "processes"),
    **dict.fromkeys(("http", "tcp", "dns", "port", "exchange", "status_page"), "network"),
}
"""The resource in `enabledChecks` that switches a kind on."""
SECURITY = {
    "logins": ("failed-logins", "failed_logins"),
    "listening": ("listening-ports", "listening"),
    "sudo": ("sudo", "sudo"),
    "file": ("files", "files"),
    "secret": ("secrets", "secrets"),
}
"""Per security check: its name, and the field of `security` that switches it on."""

ProbeFactory = Callable[[Any, float, WatchedHost], Probe]
"""Creates a probe from a `CheckSection`, `ExchangeSection` or `SecuritySection`, timeout and watched host."""
S = TypeVar("S")


def _create_certificate_probe(section: CertificateSection, timeout_s: float, place: WatchedHost) -> Probe:
    # Imports cryptography, which a host without certificate checks should not keep in memory.
    from services.collector.checks.certificates import certificate_check  # noqa: PLC0415 - see above

    return certificate_check.create_probe(section, timeout_s, place)


def _create_exchange_probe(section: ExchangeSection, timeout_s: float, place: WatchedHost) -> Probe:
    # Imports websockets, which a host without exchanges should not keep in memory.
    from services.collector.checks.exchange import exchange_check  # noqa: PLC0415 - see above

    return exchange_check.create_probe(section, timeout_s, place)


def _check_kind(
    own: Callable[[CheckSection], S | None], create: Callable[[S, float, WatchedHost], Probe]
) -> ProbeFactory:
    """Return the factory of a kind of `checks`; `own` returns the kind's section."""
    return partial(_create_from_own, own, create)


def _security_kind(
    own: Callable[[SecuritySection], S | None], create: Callable[[S, float, WatchedHost], Probe]
) -> ProbeFactory:
    """Return the factory of a kind of `security`; `own` returns the kind's section."""
    return partial(_create_from_own, own, create)


def _create_from_own(
    own: Callable[[Any], S | None], create: Callable[[S, float, WatchedHost], Probe],
    whole: CheckSection | SecuritySection, timeout_s: float, place: WatchedHost,
) -> Probe:  # fmt: skip
    section = own(whole)
    if section is None:
        raise LookupError(f"{type(whole).__name__} has no section of this kind")
    return create(section, timeout_s, place)


PROBES: dict[str, ProbeFactory] = {
    "certificate": _check_kind(lambda check: check.certificate, _create_certificate_probe),
    "container": _check_kind(lambda check: check.container, container.create_probe),
    "database": _check_kind(lambda check: check.database, database_check.create_probe),
    "dns": _check_kind(lambda check: check.dns, dns.create_probe),
    "exchange": _create_exchange_probe,
    "file": _security_kind(lambda security: security.files, file_integrity.create_probe),
    "http": _check_kind(lambda check: check.http, http.create_probe),
    "listening": _security_kind(lambda security: security.listening, listening_ports.create_probe),
    "logins": _security_kind(lambda security: security.failed_logins, failed_logins.create_probe),
    "port": _check_kind(lambda check: check.port, port.create_probe),
    "process": _check_kind(lambda check: check.process, process.create_probe),
    "secret": _security_kind(lambda security: security.secrets, secret_files.create_probe),
    "status_page": _check_kind(lambda check: check.status_page, status_page.create_probe),
    "sudo": sudo.create_probe,
    "systemd": _check_kind(lambda check: check.systemd, systemd.create_probe),
    "tcp": _check_kind(lambda check: check.tcp, tcp.create_probe),
}
"""Creates the probe of each kind of check."""


def load_checks(section: MonitoringSection, place: WatchedHost) -> list[ScheduledCheck]:
    """Return every enabled check; raise InvalidError with all faults if any check is invalid."""
    faults: list[Fault] = []
    watched: dict[str, ScheduledCheck] = {}
    for path, name, make in _check_plans(section, place):
        if name in watched:
            faults.append(Fault(path, f"expected unique check names, got {name!r} twice"))
            continue
        try:
            watched[name] = make(name)
        except ValueError as error:
            faults.append(Fault(path, str(error)))
    if faults:
        raise InvalidError(faults)
    return list(watched.values())


CheckPlan = tuple[str, str, Callable[[str], ScheduledCheck]]
"""A check's path in the document, its name, and the function that creates it under that name."""


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
    """Return the resource that must be enabled for a check; None for a certificate in a file."""
    if check.certificate is not None:
        return None if check.certificate.address is None else "network"
    return RESOURCE_BY_TYPE.get(check.kind)


def _exchange(name: str, section: ExchangeSection, place: WatchedHost) -> Iterator[CheckPlan]:
    path = f"{DOCUMENT}.exchanges.{name}"
    yield path, name, partial(_exchange_check, section, place)
    try:
        page = apply_preset(name, decrypt_section(section, os.environ)).status_page
    except ValueError:
        return  # reported with the exchange itself
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
    clear = decrypt_section(section, os.environ)
    return _scheduled(name, "exchange", apply_preset(name, clear), section, place)


def _check(check: CheckSection, place: WatchedHost, name: str) -> ScheduledCheck:
    check = decrypt_section(check, os.environ)
    return _scheduled(name, check.kind, check, check, place)


def _scheduled(
    name: str, kind: str, subject: object, times: CheckSection | ExchangeSection, place: WatchedHost
) -> ScheduledCheck:
    every_s = _seconds(times.every)
    timeout_s = min(every_s, MAX_TIMEOUT_S) if times.timeout is None else _seconds(times.timeout)
    probe = PROBES[kind](subject, timeout_s, place)
    slow_ms = None if times.slow is None else milliseconds(times.slow)
    return ScheduledCheck(name, probe, every_s, timeout_s, times.failures, times.severity, slow_ms)


def _security_check(kind: str, section: SecuritySection, place: WatchedHost, name: str) -> ScheduledCheck:
    every_s = _seconds(section.every)
    timeout_s = min(every_s, MAX_TIMEOUT_S)
    # Events count at once (one failure is enough): the next run no longer sees them.
    return ScheduledCheck(name, PROBES[kind](section, timeout_s, place), every_s, timeout_s)


def _seconds(duration: Duration) -> float:
    return milliseconds(duration) / 1000
