"""Registry: from the sections of `health_monitor.json` to what is watched.

A kind's probe is made by the module of its name in `probes`: `probe(section, timeout_s, place)`, where the
section is the whole `CheckSection`, the completed `ExchangeSection`, or the `SecuritySection`. The module is
imported only where it is used: a host without exchanges needs no WebSockets in memory.
"""

from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module

from services.collector.place import Place
from services.collector.presets import complete
from services.collector.probe import Probe
from services.collector.rounds import Watched
from shared.runtime.checks import CheckSection, ExchangeSection, SecuritySection
from shared.runtime.documents import MonitoringSection, Resource
from shared.schema.durations import Duration, milliseconds
from shared.schema.faults import Fault, InvalidError

DOCUMENT = "health_monitor.json: $.monitoring"
LONGEST_TIMEOUT_S = 10.0
"""Of a check that does not set its own."""
GATES: dict[str, Resource] = {
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

Factory = Callable[[object, float, Place], Probe]
"""Of the section that the check stands in, its timeout in seconds, and the host."""


def factory(kind: str) -> Factory:
    """Return what makes probes of a kind."""
    made: Factory = import_module(f"services.collector.probes.{kind}").probe
    return made


def probes_of(section: MonitoringSection, place: Place) -> list[Watched]:
    """Return every check that is switched on; InvalidError names all that cannot be made."""
    faults: list[Fault] = []
    watched: dict[str, Watched] = {}
    for path, name, make in _planned(section, place):
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


Planned = tuple[str, str, Callable[[str], Watched]]
"""A check's place in the document, its name, and what makes it under that name."""


def _planned(section: MonitoringSection, place: Place) -> Iterator[Planned]:
    for name, check in section.checks.items():
        if gate_of(check) in (None, *section.enabled_checks):
            yield f"{DOCUMENT}.checks.{name}", name, partial(_check, check, place)
    if "network" in section.enabled_checks:
        for name, exchange in section.exchanges.items():
            yield from _exchange(name, exchange, place)
    if security := section.security:
        for kind, (name, key) in SECURITY.items():
            if getattr(security, key):
                yield f"{DOCUMENT}.security.{key}", name, partial(_security, kind, security, place)


def gate_of(check: CheckSection) -> Resource | None:
    """Return what `enabledChecks` must have for a check; a certificate in a file needs no network."""
    if check.certificate is not None:
        return None if check.certificate.address is None else "network"
    return GATES.get(check.kind)


def _exchange(name: str, section: ExchangeSection, place: Place) -> Iterator[Planned]:
    path = f"{DOCUMENT}.exchanges.{name}"
    yield path, name, partial(_exchange_itself, section, place)
    try:
        page = complete(name, section).status_page
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


def _exchange_itself(section: ExchangeSection, place: Place, name: str) -> Watched:
    return _watched(name, "exchange", complete(name, section), section, place)


def _check(check: CheckSection, place: Place, name: str) -> Watched:
    return _watched(name, check.kind, check, check, place)


def _watched(
    name: str, kind: str, subject: object, times: CheckSection | ExchangeSection, place: Place
) -> Watched:
    every_s = _seconds(times.every)
    timeout_s = min(every_s, LONGEST_TIMEOUT_S) if times.timeout is None else _seconds(times.timeout)
    probe = factory(kind)(subject, timeout_s, place)
    slow_ms = None if times.slow is None else milliseconds(times.slow)
    return Watched(name, probe, every_s, timeout_s, times.failures, times.severity, slow_ms)


def _security(kind: str, section: SecuritySection, place: Place, name: str) -> Watched:
    every_s = _seconds(section.every)
    timeout_s = min(every_s, LONGEST_TIMEOUT_S)
    # What happened counts at once: the next look does not see it again.
    return Watched(name, factory(kind)(section, timeout_s, place), every_s, timeout_s)


def _seconds(duration: Duration) -> float:
    return milliseconds(duration) / 1000
