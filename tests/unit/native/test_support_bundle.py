"""The support bundle helps to find a problem and gives no secret away."""

import json
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from services.native.diagnostics.finding import ok
from services.native.diagnostics.site import Site
from services.native.support_bundle import mask, write_bundle
from shared.runtime import credentials

CANARY = "c4n4ry"
NOTIFICATIONS = f"""
channels:
  chat: {{url: "slack://{CANARY}-slack-token/{CANARY}-b/{CANARY}-c"}}
  hook: {{url: "https://hooks.example.com/{CANARY}-path?key={CANARY}-query", secret: "{CANARY}-signing"}}
  own: {{url: "${{CHAT_URL}}"}}
  mail: {{email: {{smtp: mail.example.com, from: a@example.com, to: [b@example.com],
                  username: "{CANARY}-user", password: "encrypted:{CANARY}-cipher"}}}}
"""
HEALTH = {
    "monitoring": {
        "heartbeats": {f"{CANARY}-heartbeat-key": {"every": "5m"}},
        "exchanges": {"venue": {"rest": f"https://api.example.com/{CANARY}-rest?key={CANARY}-key"}},
    }
}
ENVIRON = {
    "CHAT_URL": f"https://chat.example.com/{CANARY}-env",
    "INGEST_TOKEN": f"{CANARY}-ingest-token",
    "BOTWATCH_KEY": f"{CANARY}-fernet",
}


@pytest.fixture
def site(tmp_path: Path, migrated: Path) -> Site:
    """Return a home with secrets in every place, and logs that repeat them."""
    home, config = tmp_path / "home", tmp_path / "config"
    for folder in (home / "logs", home / "data" / "monitoring", config):
        folder.mkdir(parents=True)
    credentials.create_missing(home / "secrets", "127.0.0.1:6379")
    shutil.copy(migrated / "health.db", home / "data" / "monitoring" / "system_health.db")
    (config / "notifications.yml").write_text(NOTIFICATIONS)
    (config / "health_monitor.json").write_text(json.dumps(HEALTH))
    password = credentials.redis_url(home / "secrets", "bot").split(":")[2].split("@")[0]
    repeated = [NOTIFICATIONS, *HEALTH["monitoring"]["heartbeats"], *ENVIRON.values(), password]
    repeated += [f"Authorization: Bearer {CANARY}-bearer", f"token bw_{CANARY}0123456789", "useful line"]
    (home / "logs" / "notifier.log").write_text("\n".join(repeated))
    return Site({"BOTWATCH_HOME": str(home), "BOTWATCH_CONFIG": str(config), **ENVIRON})


def read(path: Path) -> dict[str, str]:
    with tarfile.open(path) as archive:
        found = {}
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file is not None
            found[member.name.removeprefix("botwatch-support/")] = file.read().decode()
        return found


def test_no_secret_is_in_the_bundle(site: Site, tmp_path: Path) -> None:
    """Secrets planted in the configuration, the environment, the credentials and the logs are all masked."""
    write_bundle(tmp_path / "bundle.tar.gz", site, [ok("all is well")])
    files = read(tmp_path / "bundle.tar.gz")
    assert CANARY not in json.dumps(files)
    for path in (site.home / "secrets").rglob("redis-url"):
        password = path.read_text().split(":")[2].split("@")[0]
        assert password not in json.dumps(files)
    assert (tmp_path / "bundle.tar.gz").stat().st_mode & 0o777 == 0o600


def test_what_helps_is_in_the_bundle(site: Site, tmp_path: Path) -> None:
    """Findings, versions, settings, sizes, the configuration and the ends of the logs; no records."""
    write_bundle(tmp_path / "bundle.tar.gz", site, [ok("all is well")])
    files = read(tmp_path / "bundle.tar.gz")
    assert json.loads(files["doctor.json"])[0]["what"] == "all is well"
    assert "msgspec" in json.loads(files["versions.json"])["packages"]
    assert "health" in json.loads(files["databases.json"])
    assert "useful line" in files["logs/notifier.log"]
    assert json.loads(files["config/notifications.yml"])["channels"]["own"]["url"] == "${CHAT_URL}"
    assert not any(name.startswith("records/") for name in files)


def test_records_are_added_on_request(site: Site, tmp_path: Path) -> None:
    """The last rows of each table."""
    with closing(sqlite3.connect(site.databases["health"])) as connection, connection:
        connection.execute("INSERT INTO alembic_version VALUES ('x')")
    write_bundle(tmp_path / "bundle.tar.gz", site, [], records=True)
    assert "records/system_health/alembic_version.json" in read(tmp_path / "bundle.tar.gz")


def test_a_masked_url_keeps_its_host() -> None:
    """The server is needed to find out why it cannot be reached."""
    secrets: list[str] = []
    found = mask({"url": "https://hooks.example.com/T0/B0"}, secrets)
    assert found == {"url": "https://hooks.example.com/***"}
    assert secrets == ["https://hooks.example.com/T0/B0"]
