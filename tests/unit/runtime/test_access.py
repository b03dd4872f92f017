"""Access from the settings of a part: its warnings, and its refusal to start."""

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from shared.access.authenticator import Authenticator
from shared.access.bearer_tokens import new_api_token
from shared.access.internal_tokens import INTERNAL_TOKENS, format_internal_tokens
from shared.runtime.access import open_access_warning, require_secrets
from shared.runtime.allowed_hosts import AllowedHosts
from shared.runtime.credentials import create_tokens
from shared.runtime.environment import load_settings
from shared.runtime.health import HealthChecks, serve_health
from shared.runtime.settings import PartSettings
from shared.schema.faults import InvalidError


@pytest.mark.parametrize(
    ("environ", "host", "is_warned"),
    [
        ({}, "127.0.0.1", False),
        ({}, "::1", False),
        ({}, "localhost", False),
        ({}, "0.0.0.0", True),  # noqa: S104
        ({}, "box.lan", True),
        ({"BIND_ADDRESS": "127.0.0.1"}, "0.0.0.0", False),  # noqa: S104
        ({"BIND_ADDRESS": "192.168.1.7"}, "0.0.0.0", True),  # noqa: S104
        ({"ACCESS": "required"}, "0.0.0.0", False),  # noqa: S104
    ],
)
def test_open_access_beyond_loopback_is_warned_of(
    environ: dict[str, str], host: str, is_warned: bool
) -> None:
    """In a container the address counts at which the port is published."""
    warning = open_access_warning(load_settings(PartSettings, environ), host)
    assert (warning is not None) is is_warned
    assert warning is None or "set ACCESS=required" in warning


def test_required_access_without_secrets_is_refused() -> None:
    """A part does not start with a door that nobody can open."""
    with pytest.raises(InvalidError, match="ACCESS: required, but INTERNAL_TOKENS_FILE is not set"):
        require_secrets(load_settings(PartSettings, {"ACCESS": "required"}))
    require_secrets(load_settings(PartSettings, {}))


def test_botwatchs_own_tokens_are_made_once(tmp_path: Path) -> None:
    """Each is in a file for its user only; a part gets digests, and a second start changes nothing."""
    create_tokens(tmp_path)
    files = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    create_tokens(tmp_path)
    assert {path: path.read_text() for path in files} == files
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    tokens = {name: (tmp_path / name / "api-token").read_text().strip() for name in INTERNAL_TOKENS}
    digests = (tmp_path / "recorder" / "internal-tokens").read_text()
    assert not any(token in digests for token in tokens.values())
    settings = load_settings(
        PartSettings, {"INTERNAL_TOKENS_FILE": str(tmp_path / "recorder" / "internal-tokens")}
    )
    assert len(settings.internal_tokens.splitlines()) == len(tokens)


def test_the_internal_port_needs_the_scrape_token() -> None:
    """Prometheus reads /metrics with its token; without it /metrics is refused and /health is brief."""
    token = new_api_token()
    access = Authenticator(
        "probe", is_open=False, internal_tokens=format_internal_tokens({"prometheus": token})
    )
    checks = HealthChecks("probe", {"redis": lambda: "up"})
    server = serve_health(checks, "127.0.0.1", 0, AllowedHosts(PartSettings()), access)
    url = f"http://127.0.0.1:{server.server_port}"
    with server:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{url}/metrics", timeout=5)
        with refused.value as response:
            assert (response.status, response.headers["WWW-Authenticate"]) == (401, 'Bearer realm="Botwatch"')
            assert response.read().startswith(b"missing token: expected")
        with urllib.request.urlopen(f"{url}/health", timeout=5) as response:
            assert response.read() == b'{"part":"probe","status":"ok"}'
        header = {"Authorization": f"Bearer {token}"}
        for path, expected in (("/metrics", b"botwatch_build_info"), ("/health", b'"checks":{"redis"')):
            request = urllib.request.Request(f"{url}{path}", headers=header)
            with urllib.request.urlopen(request, timeout=5) as response:
                assert expected in response.read()
        server.shutdown()
