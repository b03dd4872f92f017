"""`botwatch tail` against a fake WebSocket: filters, an interruption, refusals."""

import json
import threading
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from botwatch import cli
from botwatch.cli.exit_codes import REFUSED, UNREACHABLE, USAGE_ERROR
from tests.support import free_port
from tests.unit.client.conftest import ANSWERS
from tests.unit.client.fake_server import CannedResponse, FakeServer

TICKET = "POST /api/monitoring/websocket-ticket"
[ALERT] = (one["alert"] for one in ANSWERS["POST /api/monitoring/alerts/acknowledge"])
EQUITY = {"kind": "equity", "timestamp": "2026-01-31T12:00:00Z", "bot": "scalper-1", "equity": 12500.5}
SNAPSHOT = {"type": "snapshot", "id": "1-0", "records": [EQUITY], "alerts": []}
MESSAGES = [
    {"type": "record", "id": "2-0", "record": EQUITY},
    {"type": "alert", "id": "3-0", "change": "opened", "alert": ALERT},
    {"type": "record", "id": "3-0", "record": EQUITY | {"bot": "other"}},
]


class FakeBroadcaster:
    """Sends what it is told to each connection, and closes it with a code."""

    def __init__(self) -> None:
        self.connections: list[Any] = [([SNAPSHOT, MESSAGES], 1001)]
        """Frames and close code of each connection; the last one is refused with 401."""
        self.paths: list[str] = []
        self.tokens: list[str | None] = []
        self.server: Server = serve(self._send, "127.0.0.1", 0, process_request=self._admit)
        self.url = f"ws://127.0.0.1:{self.server.socket.getsockname()[1]}/monitoring"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.paths.append(request.path)
        self.tokens.append(request.headers.get("Authorization"))
        if self.connections:
            return None
        return connection.respond(HTTPStatus.UNAUTHORIZED, "the token is not valid")

    def _send(self, connection: ServerConnection) -> None:
        frames, code = self.connections.pop(0)
        for frame in frames:
            connection.send(json.dumps(frame))
        connection.close(code, "why")


def ticket(port: int = 8080, url: str | None = None) -> dict[str, Any]:
    return {"ticket": "t", "expiresInSeconds": 30, "port": port, "url": url}


@pytest.fixture
def broadcaster(fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBroadcaster]:
    """Serve for one test; no wait before connecting again."""
    monkeypatch.setattr("botwatch.cli.live_stream.FIRST_WAIT_S", 0)
    found = FakeBroadcaster()
    fake_server.routes[TICKET] = CannedResponse(
        201, {"ticket": "t", "expiresInSeconds": 30, "url": found.url}
    )
    monkeypatch.setenv("BOTWATCH_URL", fake_server.url)
    yield found
    found.server.shutdown()


def run(*words: str) -> int:
    return cli.main(["tail", *words])


@pytest.mark.usefixtures("broadcaster")
def test_messages_as_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """One line each, without what was known before; the end is a refusal here."""
    assert run() == REFUSED
    shown = capsys.readouterr()
    first, second, third = shown.out.splitlines()
    assert first.endswith("equity       scalper-1  equity=12,500.5")
    assert f"{ALERT['severity']:<8}  opened" in second
    assert "other" in third
    assert "answered 401: the token is not valid" in shown.err


def test_filters(broadcaster: FakeBroadcaster, capsys: pytest.CaptureFixture[str]) -> None:
    """Names and kinds are the server's work, patterns the command's; --json prints the messages unchanged."""
    assert run("--bot", "scalper-*", "--severity", "high", "--json", "--token", "bw_1") == REFUSED
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == MESSAGES[:1]
    assert broadcaster.paths[0] == "/monitoring?severity=HIGH"
    assert broadcaster.tokens[0] == "Bearer bw_1"
    run("--bot", "a", "--alerts")
    assert broadcaster.paths[-1] == "/monitoring?kind=alert&bot=a"


def test_an_interruption(broadcaster: FakeBroadcaster, capsys: pytest.CaptureFixture[str]) -> None:
    """It goes on where it was: asks for what came since, and prints nothing twice; a gap is said."""
    gap = {"type": "gap", "since": "3-0", "oldest": "4-0"}
    new = {"type": "record", "id": "4-0", "record": EQUITY | {"bot": "new"}}
    broadcaster.connections.append(([SNAPSHOT, [gap, *MESSAGES[1:], new]], 1001))
    assert run("--json") == REFUSED
    shown = capsys.readouterr()
    assert [json.loads(line) for line in shown.out.splitlines()] == [*MESSAGES, new]
    assert broadcaster.paths[1] == "/monitoring?since=3-0"
    assert "messages before 4-0 are missing" in shown.err
    assert "closed the connection; connecting again" in shown.err


def test_a_token_that_is_revoked(broadcaster: FakeBroadcaster, capsys: pytest.CaptureFixture[str]) -> None:
    """The close code 4401 ends the command: the same token would be refused again."""
    broadcaster.connections = [([SNAPSHOT], 4401)]
    assert run() == REFUSED
    assert len(broadcaster.paths) == 1
    assert "botwatch token create" in capsys.readouterr().err


def test_nothing_there(
    fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The dashboard says the port, on its own host; the first connection fails: exit code 3 at once."""
    port = free_port()
    fake_server.routes[TICKET] = CannedResponse(
        201, {"ticket": "t", "expiresInSeconds": 30, "port": port, "url": None}
    )
    monkeypatch.setenv("BOTWATCH_URL", fake_server.url)
    assert run() == UNREACHABLE
    assert f"ws://127.0.0.1:{port}/monitoring is not responding" in capsys.readouterr().err
    assert run("--alerts", "--records") == USAGE_ERROR
