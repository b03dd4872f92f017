"""Access: what each Redis user may do, whose secrets a part sees, and how the credentials are kept."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from shared.runtime import credentials
from shared.runtime.file_modes import SHARED_UMASK, UMASK, restrict_modes
from shared.runtime.redis.acl import USERS, filter_environment
from shared.runtime.redis.presence import EXPECTED_PARTS
from tests.support import free_port, valkey

SECRETS = {
    "ALERT_WEBHOOK_URL": "1",
    "ALERT_SMTP_PASSWORD_FILE": "2",
    "BOTWATCH_KEY": "3",
    "BOTWATCH_SECRET": "4",
    "INGEST_TOKEN": "5",
    "INGEST_TOKENS": "6",
    "COLLECTOR_TOKEN": "7",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Run a Valkey with generated credentials, and yield their folder."""
    home, port = tmp_path_factory.mktemp("access"), free_port()
    credentials.create_missing(home / "secrets", f"127.0.0.1:{port}")
    with valkey(home, port, "--aclfile", str(home / "secrets" / credentials.ACL)):
        yield home / "secrets"


def client(folder: Path, user: str) -> Redis:
    """Return a client of one user."""
    return Redis.from_url(credentials.redis_url(folder, user), protocol=2)


def test_a_bot_may_publish(folder: Path) -> None:
    """A bot publishes to the bots' channel, adds to the bots' stream, and asks for a sign of life."""
    with client(folder, "bot") as bot:
        assert bot.ping()
        bot.publish("bot:metrics", "{}")
        bot.xadd("bot:metrics:stream", {"data": "{}"})


@pytest.mark.parametrize(
    "command",
    [
        "XADD botwatch:records:0 * data x", "LPUSH botwatch:wakes 1", "LPUSH rq:queue:botwatch-notify x",
        "XREAD STREAMS bot:metrics:stream 0", "XTRIM bot:metrics:stream MAXLEN 0", "PUBLISH other x",
        "SUBSCRIBE bot:metrics", "HGETALL botwatch:latest", "EVAL return+1 0", "KEYS *", "FLUSHALL",
        "CONFIG GET dir", "ACL LIST", "SHUTDOWN", "MONITOR", "REPLICAOF 127.0.0.1 1",
    ],
)  # fmt: skip
def test_a_bot_may_do_nothing_else(folder: Path, command: str) -> None:
    """A bot neither reads nor writes Botwatch's keys, nor runs, lists or empties anything."""
    with client(folder, "bot") as bot, pytest.raises(NoPermissionError):
        bot.execute_command(*command.split())


def test_without_a_password_only_the_health_check_enters(folder: Path) -> None:
    """Who does not log in gets nothing, nor does `default`; `health` may only PING."""
    _, _, address = credentials.redis_url(folder, "bot").partition("@")
    for user in ("", "default:@", "default:any@"):
        with Redis.from_url(f"redis://{user}{address}") as stranger, pytest.raises(AuthenticationError):
            stranger.ping()
    with Redis.from_url(f"redis://health:any@{address}") as health:
        assert health.ping()
        with pytest.raises(NoPermissionError):
            health.xadd("bot:metrics:stream", {"data": "{}"})


@pytest.mark.parametrize("part", sorted(EXPECTED_PARTS))
@pytest.mark.parametrize("command", ["FLUSHALL", "KEYS *", "CONFIG GET dir", "SET other 1", "ACL LIST"])
def test_a_part_administers_nothing(folder: Path, part: str, command: str) -> None:
    """No part may administer Redis, or write keys that are not Botwatch's."""
    with client(folder, part) as redis, pytest.raises(NoPermissionError):
        redis.execute_command(*command.split())


def test_every_part_has_a_user() -> None:
    """Parts, bots, the demo and the operator are users of their own."""
    assert set(USERS) == EXPECTED_PARTS | {"bot", "demo", "botwatch"}


def test_credentials_are_made_once_and_private(tmp_path: Path) -> None:
    """Passwords stay when the port changes; only the owner reads them; Redis's own file has none."""
    before = os.umask(0)
    try:
        credentials.create_missing(tmp_path / "s", "127.0.0.1:1")
        first = credentials.redis_url(tmp_path / "s", "recorder")
        (tmp_path / "s").chmod(0o755)
        credentials.create_missing(tmp_path / "s", "127.0.0.1:2")
    finally:
        os.umask(before)
    assert credentials.redis_url(tmp_path / "s", "recorder") == first.replace(":1/", ":2/")
    for path in (tmp_path / "s", *(tmp_path / "s").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    password = first.split(":")[2].split("@")[0]
    assert password not in (tmp_path / "s" / credentials.ACL).read_text()


def test_grafana_gets_the_chosen_or_a_generated_password(tmp_path: Path) -> None:
    """A chosen password replaces the one that was made; without a choice the known one stays."""
    passwords = []
    for chosen in ("", "", "chosen", ""):
        credentials.create_missing(tmp_path, "redis:6379", credentials.GROUP_MODES, chosen)
        passwords.append((tmp_path / credentials.GRAFANA).read_text())
    made = passwords[0]
    assert len(made) >= 24
    assert passwords == [made, made, "chosen", "chosen"]
    assert stat.S_IMODE((tmp_path / credentials.GRAFANA).stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("part", "sees"),
    [
        ("recorder", set()), ("evaluator", set()), ("dashboard", {"BOTWATCH_SECRET"}),
        ("ingestion", {"INGEST_TOKEN", "INGEST_TOKENS", "COLLECTOR_TOKEN"}),
        ("collector", {"INGEST_TOKEN", "COLLECTOR_TOKEN", "BOTWATCH_KEY"}),
        ("notifier", {"ALERT_WEBHOOK_URL", "ALERT_SMTP_PASSWORD_FILE", "BOTWATCH_KEY", "BOTWATCH_SECRET"}),
    ],
)  # fmt: skip
def test_a_part_sees_its_own_secrets_only(part: str, sees: set[str]) -> None:
    """What is secret reaches the part that needs it; everything else reaches all."""
    assert filter_environment(part, {**SECRETS, "PATH": "/bin"}).keys() == sees | {"PATH"}


def test_folders_that_are_there_are_tightened(tmp_path: Path) -> None:
    """Others lose every right, the group its right to write; links are not followed."""
    (tmp_path / "data").mkdir(mode=0o777)
    (tmp_path / "data").chmod(0o777)
    (tmp_path / "data" / "a.db").touch()
    (tmp_path / "data" / "a.db").chmod(0o666)
    (tmp_path / "outside").touch()
    (tmp_path / "outside").chmod(0o666)
    (tmp_path / "data" / "link").symlink_to(tmp_path / "outside")
    restrict_modes(tmp_path / "data", UMASK)
    modes = [stat.S_IMODE((tmp_path / one).stat().st_mode) for one in ("data", "data/a.db", "outside")]
    assert modes == [0o750, 0o640, 0o666]


def test_a_shared_folder_is_the_groups_too(tmp_path: Path) -> None:
    """Where parts of several users share a folder, the group writes and new files are the group's."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o755)
    (tmp_path / "data" / "a.db").touch()
    (tmp_path / "data" / "a.db").chmod(0o644)
    restrict_modes(tmp_path / "data", SHARED_UMASK)
    modes = [stat.S_IMODE((tmp_path / one).stat().st_mode) for one in ("data", "data/a.db")]
    assert modes == [0o2770, 0o660]
