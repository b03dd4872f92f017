"""Diagnostics of the notification channels: where they connect to, and whether that works."""

import json
import socket
from pathlib import Path

import pytest

from services.native.diagnostics.channels import Server, check_channels, server_of
from services.native.diagnostics.site import Site
from shared.runtime.config.notifications import ChannelSection, EmailConfig
from shared.runtime.encrypted_values import encrypt, new_key
from tests.support import free_port


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://hooks.example.com/x", Server("hooks.example.com", 443, "tls")),
        ("http://hook.lan:8000/", Server("hook.lan", 8000, "none")),
        ("slack://token", None),
    ],
)
def test_the_server_of_a_url(url: str, expected: Server | None) -> None:
    """Services of apprise do not say."""
    assert server_of(ChannelSection(url=url)) == expected


@pytest.mark.parametrize(("port", "security"), [(465, "tls"), (587, "starttls"), (25, "none")])
def test_the_server_of_a_mailbox(port: int, security: str) -> None:
    """By default the port decides on the encryption."""
    mailbox = EmailConfig(smtp=f"mail.example.com:{port}", sender="a@example.com", to=["b@example.com"])
    assert server_of(ChannelSection(email=mailbox)) == Server("mail.example.com", port, security)


def test_an_encrypted_address_needs_the_key(tmp_path: Path) -> None:
    """It is decrypted to connect; a missing key is critical."""
    key = new_key()
    address = encrypt(f"http://127.0.0.1:{free_port()}/", {"BOTWATCH_KEY": key})
    (tmp_path / "notifications.yml").write_text(json.dumps({"channels": {"hook": {"url": address}}}))
    environ = {"BOTWATCH_CONFIG": str(tmp_path)}
    [locked] = check_channels(Site(environ))
    [found] = check_channels(Site({**environ, "BOTWATCH_KEY": key}))
    assert (locked.status, found.status) == ("critical", "critical")
    assert "BOTWATCH_KEY" in locked.what
    assert "connection refused" in found.what


@pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")  # of apprise
@pytest.mark.parametrize(
    ("url", "status"),
    [("foo://s3cret", "critical"), ("hooks.slack.com/s3cret", "critical"), ("ntfys://ntfy.sh/s3cret", "ok")],
)
def test_a_url_that_no_service_has_is_critical(url: str, status: str, tmp_path: Path) -> None:
    """Nothing would be sent at the first alert; the finding does not have the URL."""
    (tmp_path / "notifications.yml").write_text(json.dumps({"channels": {"chat": {"url": url}}}))
    [found] = check_channels(Site({"BOTWATCH_CONFIG": str(tmp_path)}))
    assert found.status == status
    assert ("nothing can be sent" in found.what) is (status == "critical")
    assert "s3cret" not in str(found)


def test_reachable_and_unreachable_channels(tmp_path: Path) -> None:
    """The finding has the server and the command that sends a test message, and no secret of the URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port, nobody = server.getsockname()[1], free_port()
        channels = {
            "up": {"url": f"http://127.0.0.1:{port}/s3cret"},
            "down": {"url": f"http://127.0.0.1:{nobody}/s3cret"},
        }
        (tmp_path / "notifications.yml").write_text(json.dumps({"channels": channels}))
        up, down = check_channels(Site({"BOTWATCH_CONFIG": str(tmp_path)}))
    assert (up.status, up.what) == ("ok", f"channel up: 127.0.0.1:{port} is reachable")
    assert down.status == "critical"
    assert "connection refused" in down.what
    assert down.fix.endswith("botwatch notify test down")
    assert "s3cret" not in str((up, down))
