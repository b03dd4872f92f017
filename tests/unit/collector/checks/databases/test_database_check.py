"""Which probe a database's URL gets, and which URLs none."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.collector.checks.databases.database_check import create_probe
from services.collector.checks.databases.postgresql import PostgresqlProbe
from services.collector.checks.databases.redis import RedisProbe
from services.collector.checks.databases.sqlite import SqliteProbe
from services.collector.host.watched_host import WatchedHost

PLACE = WatchedHost("here", Path("/proc"), Path("/"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///data/bots.db", SqliteProbe),
        ("sqlite:////data/bots.db", SqliteProbe),
        ("postgresql://ann@db/bots", PostgresqlProbe),
        ("postgres://db", PostgresqlProbe),
        ("redis://:secret@db:6380/1", RedisProbe),
        ("rediss://db", RedisProbe),
    ],
)
def test_the_scheme_says_what_is_looked_at(url: str, expected: type) -> None:
    made = create_probe(url, 5.0, PLACE)
    assert isinstance(made, expected)
    assert made.type == "database"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mysql://ann:cret@db",
        "sqlite://bots.db",
        "redis://",
        "redis://:se/cret@db",
        "postgresql://ann:1/cret@db/bots",
        "postgresql://ann:1#cret@db/bots",
        "postgresql://ann:1?cret@db/bots",
        "postgresql://db/bots?sslmode=cret",
    ],
)
def test_an_invalid_database_url_is_rejected_without_its_secrets(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|sqlite|sslmode") as caught:
        create_probe(url, 5.0, PLACE)
    assert "cret" not in str(caught.value)


def test_a_path_with_a_space_is_written_as_in_any_url(tmp_path: Path) -> None:
    """`%20` is a space, `%25` a percent sign."""
    with closing(sqlite3.connect(tmp_path / "bots 100%.db")) as connection:
        connection.execute("CREATE TABLE trades (at INTEGER)")
    here = WatchedHost("here", Path("/proc"), Path("/"))
    made = create_probe(f"sqlite://{tmp_path}/bots%20100%25.db", 5.0, here)
    assert made.run(datetime(2026, 11, 22, 12, tzinfo=UTC)).status == "ok"
