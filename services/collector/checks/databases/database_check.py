"""A database that must answer and be well: SQLite, PostgreSQL, Redis."""

from urllib.parse import unquote

from services.collector.checks.base import Probe
from services.collector.checks.databases.redis import RedisProbe
from services.collector.checks.databases.sqlite import SqliteProbe
from services.collector.host.watched_host import WatchedHost
from shared.runtime.http.urls import split_url

SCHEMES = ("sqlite", "postgresql", "postgres", "redis", "rediss")


def create_probe(url: str, timeout_s: float, place: WatchedHost) -> Probe:
    """Make the probe of `section.database`; ValueError, without secrets, when its URL makes no sense."""
    scheme, _, path = url.partition("://")
    if scheme not in SCHEMES:
        raise ValueError("expected a database URL that begins with sqlite:, postgresql: or redis:")
    if scheme == "sqlite":
        if not path.startswith("/"):
            raise ValueError("expected sqlite:/// and a file path")
        return SqliteProbe("/" + unquote(path).lstrip("/"), timeout_s, place)
    address = split_url(url)
    # Behind the host an @ is the end of a password with a slash in it: part of it would pass for the host.
    if not address.hostname or "@" in address.path + address.query + address.fragment:
        raise ValueError(
            "the database URL has no host, or its password has special characters that are not "
            "percent-encoded"
        )
    if scheme.startswith("redis"):
        return RedisProbe(address, timeout_s)
    # Imports pg8000, which a host without PostgreSQL should not keep in memory.
    from services.collector.checks.databases.postgresql import PostgresqlProbe  # noqa: PLC0415 - see above

    return PostgresqlProbe(address, timeout_s)
