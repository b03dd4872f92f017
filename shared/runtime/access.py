"""Access control of a part, made from its settings."""

import ipaddress
import os
from pathlib import Path

import structlog
from redis import Redis

from shared.access.authenticator import Authenticator
from shared.runtime.config.documents import HealthMonitor, database_path, load_document
from shared.runtime.settings import PartSettings
from shared.schema.faults import Fault, InvalidError

log = structlog.get_logger()


def create_authenticator(part: str, settings: PartSettings, redis: Redis | None = None) -> Authenticator:
    """Return the authenticator of `part`; `redis` takes its events.

    Raises InvalidError if access is required and Botwatch's own tokens are missing.
    """
    require_secrets(settings)
    authenticator = Authenticator(
        part,
        is_open=settings.access == "open",
        internal_tokens=settings.internal_tokens,
        database=_health_database(settings),
    )
    authenticator.events.redis = redis
    return authenticator


def require_secrets(settings: PartSettings) -> None:
    """Raise InvalidError if access is required, but nothing could be let in."""
    if settings.access == "required" and not settings.internal_tokens:
        fault = (
            "required, but INTERNAL_TOKENS_FILE is not set: start with `botwatch up` or compose, "
            "which create Botwatch's own tokens"
        )
        raise InvalidError([Fault("ACCESS", fault)])


def open_access_warning(settings: PartSettings, host: str) -> str | None:
    """Return why open access is dangerous on `host`; None if it is not open, or on loopback only."""
    published = settings.bind_address or host
    if settings.access != "open" or _is_loopback(published):
        return None
    return f"access is open to everyone who reaches {published}: set ACCESS=required, or bind to 127.0.0.1"


def log_open_access(settings: PartSettings, host: str) -> None:
    """Log a warning at the start of a part whose port is open to the network."""
    if warning := open_access_warning(settings, host):
        log.warning(warning)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _health_database(settings: PartSettings) -> Path:
    document = load_document(settings.botwatch_config / "health_monitor.json", HealthMonitor, os.environ)
    return database_path(settings, document.database)
