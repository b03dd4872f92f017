"""Several workers of the dashboard: what one has changed, the others respect."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from shared.access.internal_tokens import format_internal_tokens
from shared.access.sealing import Sealer
from shared.access.users import Users
from shared.runtime import clock
from shared.runtime.audit_key import audit_key
from shared.store.database import Database, sqlite_url
from tests.support import free_port, wait_until
from tests.unit.dashboard.signed_in import COMMAND_TOKEN, PASSWORD, ROOT

TOKENS = "/api/monitoring/tokens"


class TwoWorkers:
    """The dashboard as gunicorn runs it, with access required and two workers."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.port = port
        self.master = process.pid
        self._master = psutil.Process(process.pid)

    def workers(self) -> list[psutil.Process]:
        """Return both."""
        return self._master.children()

    @contextmanager
    def only(self, number: int) -> Iterator[None]:
        """Let one worker answer, by stopping the other for a while."""
        other = self.workers()[1 - number]
        other.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            other.send_signal(signal.SIGCONT)

    def ask(
        self, path: str, body: str | None = None, method: str = "", **headers: str
    ) -> tuple[int, http.client.HTTPMessage, str]:
        """Return status, headers and text of an answer, on a connection of its own."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request(method or ("GET" if body is None else "POST"), path, body, named)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()

    def sign_in(self, password: str = PASSWORD) -> tuple[int, str]:
        """Return the status of a login, and the cookie."""
        form = urllib.parse.urlencode({"name": "alice", "password": password})
        kind = "application/x-www-form-urlencoded"
        status, headers, _ = self.ask("/login", form, Origin=self.origin, Content_Type=kind)
        return status, (headers["Set-Cookie"] or "").partition(";")[0]

    @property
    def origin(self) -> str:
        """The page's own origin."""
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def served(tmp_path: Path, valkey_url: str, migrated: Path) -> Iterator[TwoWorkers]:
    """Run it, with the admin `alice`."""
    folder = tmp_path / "data" / "monitoring"
    folder.mkdir(parents=True)
    for line, name in (("performance", "performance_metrics.db"), ("health", "system_health.db")):
        shutil.copy(migrated / f"{line}.db", folder / name)
    with closing(Database(sqlite_url(folder / "system_health.db"))) as health:
        Users(health, audit_key(tmp_path, {}), Sealer(b"secret")).add(
            "alice", "admin", PASSWORD, ROOT, clock.now()
        )
    port = free_port()
    environ = {
        **os.environ, "BOTWATCH_HOME": str(tmp_path), "REDIS_URL": valkey_url, "ACCESS": "required",
        "DASHBOARD_PORT": str(port), "WEB_WORKERS": "2",
        "INTERNAL_TOKENS": format_internal_tokens({"botwatch": COMMAND_TOKEN}),
    }  # fmt: skip
    with subprocess.Popen([sys.executable, "-m", "services.dashboard"], env=environ) as process:
        served = TwoWorkers(process, port)
        try:
            wait_until(lambda: len(served.workers()) == 2 and _is_healthy(served), "it is healthy")
            yield served
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=10)


def _is_healthy(served: TwoWorkers) -> bool:
    try:
        return all(_answers(served, number) for number in (0, 1))
    except OSError:
        return False


def _answers(served: TwoWorkers, number: int) -> bool:
    with served.only(number):
        return served.ask("/health")[0] == 200


def test_workers_agree_on_sessions_logins_and_tokens(served: TwoWorkers) -> None:
    """A session and a token hold in both, their end too; failed logins count together; none skips a check."""
    with served.only(0):
        status, cookie = served.sign_in()
        assert status == 303
    with served.only(1):
        assert served.ask("/", Cookie=cookie)[0] == 200
        wanted = json.dumps({"name": "ci", "scopes": ["read"]})
        kind = {"Content_Type": "application/json", "Cookie": cookie}
        assert served.ask(TOKENS, wanted, **kind)[0] == 403, "a change without Origin"
        assert served.ask(TOKENS, wanted, **kind, Origin="http://evil.example")[0] == 403
        status, _, created = served.ask(TOKENS, wanted, **kind, Origin=served.origin)
        assert status == 201
    bearer = {"Authorization": f"Bearer {json.loads(created)['secret']}"}
    with served.only(0):
        wait_until(lambda: served.ask("/api/monitoring", **bearer)[0] == 200, "the token is known")
        status = served.ask(f"{TOKENS}/ci", method="DELETE", Cookie=cookie, Origin=served.origin)[0]
        assert status in (200, 204)
    with served.only(1):
        wait_until(lambda: served.ask("/api/monitoring", **bearer)[0] == 401, "the token is revoked")
        assert served.ask("/logout", "", Cookie=cookie, Origin=served.origin)[0] == 303
    with served.only(0):
        assert served.ask("/api/monitoring", Cookie=cookie)[0] == 401
        assert [served.sign_in("wrong password")[0] for _ in range(3)] == [401] * 3
    with served.only(1):
        assert [served.sign_in("wrong password")[0] for _ in range(3)] == [401, 401, 429]
    with served.only(0):
        assert served.sign_in()[0] == 429


def test_metrics_are_those_of_all_workers_also_of_one_that_was_killed(served: TwoWorkers) -> None:
    """Counters never go back, CPU time neither, and the files of a dead worker do not stay."""
    bearer = {"Authorization": f"Bearer {COMMAND_TOKEN}"}
    for number in (0, 1):
        with served.only(number):
            assert served.ask("/api/monitoring/silences", **bearer)[0] == 200
    before = samples(served)
    asked = [value for name, value in before.items() if "requests_total" in name and "/silences" in name]
    assert sum(asked) == 2
    assert before["process_open_fds"] > 20
    for number in (0, 1):
        (killed := served.workers()[number]).kill()
        wait_until(lambda gone=killed: gone not in served.workers(), "it is gone")  # type: ignore[misc]
        wait_until(lambda: len(served.workers()) == 2 and _is_healthy(served), "another one took its place")
        after = samples(served)
        counters = [name for name in before if "_total" in name or "_count" in name or "_bucket" in name]
        assert len(counters) > 20
        assert {name: value for name in counters if after[name] < (value := before[name])} == {}
    masters = Path(f"/proc/{served.master}/fd").iterdir()
    folder = next(Path(one.readlink()) for one in masters if "botwatch-metrics-" in str(one.readlink()))
    pids = {str(one.pid) for one in served.workers()}
    kept = {path.stem.rpartition("_")[2] for path in folder.glob("*.db")}
    assert kept <= pids | {str(served.master), "0"}


def test_metrics_are_asked_for_as_prometheus_does(served: TwoWorkers) -> None:
    """OpenMetrics, compressed; HEAD has the headers and no body; without the scope `read` there are none."""
    wanted = {
        "Authorization": f"Bearer {COMMAND_TOKEN}",
        "Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
    }
    _, headers, text = served.ask("/metrics", **wanted)
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    status, headers, text = served.ask("/metrics", method="HEAD", **wanted, Accept_Encoding="gzip")
    assert (status, headers["Content-Encoding"], text) == (200, "gzip", "")
    assert int(headers["Content-Length"]) > 500
    assert served.ask("/metrics")[0] == 401


def samples(served: TwoWorkers) -> dict[str, float]:
    """Return the samples of a scrape, by name and labels."""
    _, _, text = served.ask("/metrics", Authorization=f"Bearer {COMMAND_TOKEN}")
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}
