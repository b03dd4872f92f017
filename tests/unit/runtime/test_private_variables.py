"""Which variables of the config documents reach which parts of `botwatch up`."""

import json
from pathlib import Path

import pytest

from shared.runtime.private_variables import private_variables
from shared.runtime.redis.acl import filter_environment

CHECKS = {
    "db": {"database": "postgresql://watch:${DB_PASSWORD}@127.0.0.1:5432/bots"},
    "api": {"http": {"url": "${API_URL}"}},
}
NOTIFICATIONS = """
channels:
  phone: { url: "tgram://${TELEGRAM_TOKEN}/1", fallback: hook }
  hook: { type: webhook, url: "http://127.0.0.1/${DB_NAME}", secret: "${HOOK_SECRET}" }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a config folder whose documents refer to variables."""
    health = {"monitoring": {"checks": CHECKS}, "database": {"path": "${DB_NAME}.db"}}
    (tmp_path / "health_monitor.json").write_text(json.dumps(health))
    (tmp_path / "notifications.yml").write_text(NOTIFICATIONS)
    return tmp_path


def test_a_variable_reaches_only_the_parts_whose_sections_refer_to_it(folder: Path) -> None:
    """Channels' variables go to the notifier and the watchdog, checks' to the collector; files too."""
    (folder / "token").write_text("1:a")
    environ = {
        "TELEGRAM_TOKEN_FILE": str(folder / "token"), "HOOK_SECRET": "s", "DB_PASSWORD": "p",
        "API_URL": "http://127.0.0.1/", "DB_NAME": "health", "UNRELATED": "u",
    }  # fmt: skip
    private = private_variables(folder, environ)
    sees = {
        part: filter_environment(part, environ, private).keys() for part in ("notifier", "collector", "demo")
    }
    everywhere = {"API_URL", "DB_NAME", "UNRELATED"}  # without API_URL no other part could read the documents
    assert sees == {
        "notifier": everywhere | {"TELEGRAM_TOKEN_FILE", "HOOK_SECRET"},
        "collector": everywhere | {"DB_PASSWORD"},
        "demo": everywhere,
    }
    assert filter_environment("watchdog", environ, private).keys() == sees["notifier"]


def test_what_parts_read_by_name_is_not_withheld(folder: Path) -> None:
    """A check that sends the token of the records API does not take it from the records API."""
    checks = {"db": {"database": "postgresql://${INGEST_TOKEN}:${HOME}@127.0.0.1/bots"}}
    (folder / "health_monitor.json").write_text(json.dumps({"monitoring": {"checks": checks}}))
    environ = {"INGEST_TOKEN": "t", "HOME": "/"}
    assert filter_environment("ingestion", environ, private_variables(folder, environ)) == environ
