"""Every diagnostic by name: those that the start runs first, and the further ones of `botwatch doctor`."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import msgspec

from services.native.diagnostics import channels, configuration, databases, home, machine, redis_server
from services.native.diagnostics.finding import Finding, critical
from services.native.diagnostics.site import Site


class Diagnostic(NamedTuple):
    """One diagnostic."""

    name: str
    run: Callable[[Site], Iterable[Finding]]


PREFLIGHT = (
    Diagnostic("python", machine.check_python),
    Diagnostic("docker", machine.check_docker),
    Diagnostic("paths", home.check_paths),
    Diagnostic("folders", home.check_folders),
    Diagnostic("ports", machine.check_ports),
    Diagnostic("disk", machine.check_disk),
    Diagnostic("memory", machine.check_memory),
    Diagnostic("clock", machine.check_clock),
    Diagnostic("config", configuration.check_documents),
    Diagnostic("secrets", configuration.check_secrets),
    Diagnostic("certificate", configuration.check_certificate),
    Diagnostic("restore", databases.check_restore),
    Diagnostic("schema", databases.check_versions),
)
"""What must hold before anything is started; a critical finding prevents the start."""
DOCTOR = (
    Diagnostic("process", home.check_process),
    *PREFLIGHT,
    Diagnostic("modes", home.check_modes),
    Diagnostic("integrity", databases.check_integrity),
    Diagnostic("sizes", databases.check_sizes),
    Diagnostic("redis", redis_server.check_redis),
    Diagnostic("parts", redis_server.check_parts),
    Diagnostic("readers", redis_server.check_readers),
    Diagnostic("alerts", databases.check_self_alerts),
    Diagnostic("jobs", databases.check_jobs),
    Diagnostic("backup", databases.check_backups),
    Diagnostic("channels", channels.check_channels),
)
"""All of them."""


def diagnose(site: Site, diagnostics: Iterable[Diagnostic]) -> Iterator[Finding]:
    """Yield the findings of every diagnostic; one that cannot run is a finding, too."""
    for diagnostic in diagnostics:
        try:
            for finding in diagnostic.run(site):
                yield msgspec.structs.replace(finding, diagnostic=diagnostic.name)
        except (OSError, ValueError) as error:
            what = f"the check cannot run: {error}"
            found = critical(what, "run it as the user that runs Botwatch")
            yield msgspec.structs.replace(found, diagnostic=diagnostic.name)
