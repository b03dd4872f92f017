"""Canaries: a secret is planted in every place that may hold one, and looked for where none may be."""

import json
import re
import tarfile
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress

import psutil
import pytest
from backports import zstd
from cryptography.fernet import Fernet
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from services.dashboard.route_scopes import ROUTE_SCOPES
from shared.runtime import clock
from shared.runtime.redis.connection import connect_redis
from shared.runtime.redis.presence import read_presence
from tests.integration.canaries import (
    API,
    VARIABLES,
    Canaries,
    EchoingMailServer,
    EchoingServer,
    Planted,
    fetch,
    serve,
    use,
    write_documents,
)
from tests.integration.stack import botwatch_up
from tests.support import wait_until

pytestmark = pytest.mark.integration

ACKNOWLEDGE = re.compile(rb"/acknowledge/[\w-]+\.([0-9a-f]{64})")
"""A signed link in a notification."""


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    """Yield a Botwatch whose every secret is a canary, after everything has failed that can."""
    folder, canaries = tmp_path_factory.mktemp("canaries"), Canaries()
    with serve(EchoingServer) as http, serve(EchoingMailServer) as smtp:
        key = canaries["BOTWATCH_KEY"] = Fernet.generate_key().decode()
        write_documents(folder / "config", canaries, http, smtp, key)
        values = {name: canaries.new(name) for name in VARIABLES}
        values["INGEST_TOKENS"] += "=bot-*"
        for name in ("HEARTBEAT_URL", "AUDIT_WEBHOOK_URL"):
            values[name] = f"http://127.0.0.1:{http}/{values[name]}"
        values |= {"BACKUP_URL": "s3://bucket/prefix", "BACKUP_ENDPOINT": f"http://127.0.0.1:{http}"}
        values |= {"ACCESS": "required", "LOG_LEVEL": "debug"}
        with botwatch_up(folder, folder / "config", demo=False, **values) as stack:
            planted = Planted(stack, values | {"BOTWATCH_CONFIG": str(folder / "config")}, canaries)
            use(planted)
            wait_until(lambda: failures(planted), "everything fails")
            links = [link for body in EchoingServer.bodies for link in ACKNOWLEDGE.findall(body)]
            canaries["signature of an acknowledge link"] = links[-1].decode()
            yield planted


def failures(planted: Planted) -> bool:
    found = json.dumps(planted.answer(f"{API}/alerts"))
    return all(word in found for word in ("bot-1", "postgres", "venue"))


def test_answers(planted: Planted) -> None:
    """No page, API answer, error, metric or health of any part has a canary."""
    admin, unknown = planted.canaries["token botwatch"], planted.canaries["unknown token"]
    paths = [f"{API}/alerts/{one['id']}" for one in planted.answer(f"{API}/alerts")]
    paths += ["/nothing", f"{API}/alerts?limit=x", "/acknowledge/x.y", f"{API}/audit?limit=1000"]
    rules = [rule.removeprefix("GET ") for rule in ROUTE_SCOPES if rule.startswith("GET ")]
    paths += [f"{rule.replace('<name>', 'drawdown')}?bot=bot-1" for rule in rules]
    answers = {(path, token): planted.ask(path, token)[1] for path in paths for token in (admin, unknown)}
    with closing(connect_redis(planted.stack.redis_url())) as redis:
        parts = read_presence(redis, clock.now())
    for part, _ in parts.values():
        for path in ("/metrics", "/health"):
            asked = urllib.request.Request(f"{part.url}{path}", headers={"Authorization": f"Bearer {admin}"})
            answers[part.part, path] = fetch(asked)[1]
    assert {
        where: found for where, text in answers.items() if (found := planted.canaries.found_in(text))
    } == {}


def test_websocket_frames(planted: Planted) -> None:
    """Neither what an admin is sent, nor why a stranger is refused, has a canary."""
    frames: list[str | bytes] = []
    for name in ("token botwatch", "unknown token"):
        headers = {"Authorization": f"Bearer {planted.canaries[name]}"}
        try:
            with (
                connect(planted.stack.websocket(), additional_headers=headers) as socket,
                suppress(TimeoutError),
            ):
                frames.extend(socket.recv(timeout=3) for _ in range(4))
        except WebSocketException as refused:
            frames.append(str(refused))
    assert len(frames) > 1
    assert [found for frame in frames if (found := planted.canaries.found_in(frame))] == []


def test_processes(planted: Planted) -> None:
    """No command line has a canary, and no part's `/proc/PID/environ`: parts get secrets from supervisord."""
    main = psutil.Process(planted.stack.process.pid)
    assert planted.canaries.found_in("\0".join(main.environ().values())), "the terminal's has them"
    found, commands = {}, ""
    for process in main.children(recursive=True):
        with suppress(psutil.Error, OSError):
            command, environ = " ".join(process.cmdline()), "\0".join(process.environ().values())
            found[command] = planted.canaries.found_in(f"{command}\0{environ}")
            commands += command
    for part in ("native.supervisord", "notifier watchdog", "recorder", "collector", "jobs", "dashboard"):
        assert f"services.{part}" in commands
    assert {command: names for command, names in found.items() if names} == {}


def test_commands_and_bundle(planted: Planted) -> None:
    """Doctor, audit export and the support bundle, even with records, have no canary."""
    bundle = planted.stack.home / "bundle.tar.gz"
    printed = planted.command("doctor", "--json", "--bundle", str(bundle), "--records")
    found = {"doctor": planted.canaries.found_in(printed)}
    exported = planted.command("audit", "export")
    assert "config.reload" in exported
    found["audit export"] = planted.canaries.found_in(exported)
    with tarfile.open(bundle) as archive:
        for member in archive:
            content = archive.extractfile(member)
            assert content
            found[member.name] = planted.canaries.found_in(content.read())
    assert {where: names for where, names in found.items() if names} == {}


def test_backup(planted: Planted) -> None:
    """Databases and secrets in a backup have no canary in clear, and the documents neither."""
    printed = planted.command("backup", "now")
    assert "warning: not uploaded" in printed
    backup = max((planted.stack.home / "backups").rglob("*.tar.zst"))
    found = {"printed": planted.canaries.found_in(printed)}
    with zstd.open(backup) as clear, tarfile.open(fileobj=clear, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member)
            assert content
            found[member.name] = planted.canaries.found_in(content.read())
    assert any(name.endswith("secrets.fernet") for name in found)
    assert {where: names for where, names in found.items() if names} == {}


def test_files(planted: Planted) -> None:
    """No file but those of the folder secrets has a canary: logs, databases, Redis, what `up` printed.

    `botwatch up` prints the URL for bots on purpose.
    """
    home, find = planted.stack.home, planted.canaries.found_in
    files = [path for path in home.rglob("*") if path.is_file() and home / "secrets" not in path.parents]
    assert len([path for path in files if path.suffix == ".log"]) > 10
    found = {str(path): find(path.read_bytes()) for path in files}
    found["output"] = find(planted.stack.output(), "redis bot")
    assert {where: names for where, names in found.items() if names} == {}
