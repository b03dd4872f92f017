"""What the collector reads from the environment."""

import socket
from pathlib import Path

import structlog

from services.collector.host.watched_host import OWN_PROC, OWN_ROOT
from shared.access.bearer_tokens import Token
from shared.runtime.config.check_sections import Url
from shared.runtime.settings import PartSettings
from shared.schema.records import Name

log = structlog.get_logger()


class CollectorSettings(PartSettings, frozen=True, kw_only=True):
    """What to watch, and where to report.

    Look: at this machine, or from inside a container at the host whose /proc and / are mounted here. Report:
    in Redis, or at the HTTP endpoint of a Botwatch on another machine.
    """

    host_name: Name | None = None
    """The name to report; by default the host's own."""
    host_proc: Path = OWN_PROC
    """The host's /proc."""
    host_root: Path = OWN_ROOT
    """The host's /."""
    collector_url: Url | None = None
    """The ingestion endpoint of another Botwatch, such as https://botwatch.example:9090; without Redis."""
    collector_token: Token | None = None
    """The COLLECTOR_TOKEN of that Botwatch."""
    ingest_token: Token | None = None
    """Used instead where that Botwatch has no COLLECTOR_TOKEN."""


def host_name(settings: CollectorSettings) -> str:
    """Return the name to report: as set, as the host's root says, or this machine's (or container's)."""
    if settings.host_name:
        return settings.host_name
    if settings.host_root != OWN_ROOT:
        try:
            if name := (settings.host_root / "etc" / "hostname").read_text(encoding="utf-8").strip():
                return name
        except OSError as error:
            log.warning("cannot read the host name; set HOST_NAME", error=str(error))
    return socket.gethostname()
