"""TLS by the profile `tls`: one host name and certificate for all ports."""

import http.client
import json
import ssl
import urllib.request
from contextlib import closing

import pytest
from websockets.sync.client import connect

from tests.stack.compose import ComposeStack

CERTIFICATE = "/data/caddy/pki/authorities/local/root.crt"


@pytest.fixture(scope="module")
def verifying(stack: ComposeStack) -> ssl.SSLContext:
    """Return a client's context that trusts Caddy's own authority only."""
    return ssl.create_default_context(cadata=stack.execute("caddy", "cat", CERTIFICATE))


def test_every_port_is_behind_one_certificate(stack: ComposeStack, verifying: ssl.SSLContext) -> None:
    """The page, the API, the endpoint for records, metrics and the WebSocket answer by their paths."""
    address = f"localhost:{stack.ports['HTTPS']}"

    def get(path: str, body: object = None) -> tuple[int, str]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"https://{address}{path}", data)
        if data:
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10, context=verifying) as response:
            return response.status, response.read().decode()

    assert "<title>" in get("/")[1]
    assert json.loads(get("/api/monitoring")[1])["summary"]
    assert get("/api/v1/records", {"kind": "equity", "bot": "tls-bot", "equity": 1})[0] == 202
    assert "botwatch_bot_" in get("/metrics")[1]
    with connect(f"wss://{address}/monitoring", ssl=verifying) as client:
        assert json.loads(client.recv(timeout=10))["type"] == "snapshot"


def test_plain_http_is_redirected(stack: ComposeStack) -> None:
    """The port for HTTP serves nothing else."""
    with closing(http.client.HTTPConnection("localhost", stack.ports["HTTP"], timeout=10)) as connection:
        connection.request("GET", "/api/monitoring")
        answer = connection.getresponse()
    assert (answer.status, answer.headers["Location"]) == (308, "https://localhost/api/monitoring")
