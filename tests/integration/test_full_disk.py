"""A disk that is full: Redis and SQLite of a running Botwatch on a small one, filled and cleared again.

One alert names the disk, no part ends, no record that was accepted is lost, and all goes on by itself. With
little space left recording pauses first, then ingestion.
"""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.conftest import run_receivers
from tests.integration.stack import BotwatchProcess, WebhookAndMailReceivers, botwatch_up
from tests.support import unavailable, wait_until

pytestmark = pytest.mark.integration

DISK_MIB = 64
REFUSAL = "Redis cannot write to its disk"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Yield the mount point of a small disk."""
    path = tmp_path / "home"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    if done.returncode:
        unavailable(f"a small disk cannot be mounted here, which needs root: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True, timeout=10)


@pytest.fixture
def receivers() -> Iterator[WebhookAndMailReceivers]:
    """Yield receivers of this module's own."""
    with run_receivers() as running:
        yield running


def leave(disk: Path, mib: int) -> Path:
    """Write until so much space is left."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        while shutil.disk_usage(disk).free > mib * 2**20:
            file.write(b"x" * 2**16)
            file.flush()
    return ballast


def fill(disk: Path) -> Path:
    """Write until nothing more fits."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        for size in (2**20, 2**12, 1):
            with suppress(OSError):
                while file.write(b"x" * size):
                    pass
    return ballast


def told(receivers: WebhookAndMailReceivers) -> list[tuple[str, str]]:
    """Return what was told about Botwatch itself: the rule and the change."""
    return [
        (body["details"]["rule"], body["change"])
        for body in list(receivers.bodies)
        if body["component"] == "botwatch"
    ]


def pids(stack: BotwatchProcess) -> set[int]:
    """Return the processes of all parts; not the job that may be running or ending, a child of `jobs`."""
    children = psutil.Process(stack.process.pid).children(recursive=True)
    found: dict[int, tuple[int, bool]] = {}
    for child in children:
        with suppress(psutil.NoSuchProcess):  # or a zombie
            found[child.pid] = child.ppid(), "services.jobs" in child.cmdline()
    jobs = {pid for pid, (_, is_jobs) in found.items() if is_jobs}
    return {pid for pid, (parent, _) in found.items() if parent not in jobs}


def level(stack: BotwatchProcess) -> str:
    """Return how full the disk is, as the API says."""
    return str(stack.dashboard("/api/monitoring")["system"]["disk"]["level"])


def waits(sender: "Sender") -> bool:
    """Return whether a record that was accepted a second ago is not stored."""
    before = set(sender.accepted)
    time.sleep(1)
    return bool(sender.post().get("accepted")) and bool(before - set(sender.stored()))


class Sender:
    """Posts one record after another, and knows which were accepted."""

    def __init__(self, stack: BotwatchProcess) -> None:
        self._stack = stack
        self._sent = 0
        self.accepted: set[float] = set()

    def post(self) -> dict[str, Any]:
        """Post one record and return the answer."""
        self._sent += 1
        answer: dict[str, Any] = self._stack.ingestion("/api/v1/equity", {"bot": "a", "equity": self._sent})
        if answer.get("accepted"):
            self.accepted.add(self._sent)
        return answer

    def stored(self) -> list[float]:
        """Return what stands in the database."""
        return [
            equity for (equity,) in self._stack.rows("performance_metrics.db", "SELECT equity FROM equity")
        ]


def test_a_full_disk_is_one_alert_and_costs_nothing(
    disk: Path, tmp_path: Path, receivers: WebhookAndMailReceivers
) -> None:
    config = tmp_path / "config"
    config.mkdir()
    channels = {"desk": {"url": f"http://127.0.0.1:{receivers.http_port}/hook"}}
    (config / "notifications.yml").write_text(json.dumps({"channels": channels}))
    with botwatch_up(tmp_path, config) as stack:
        sender = Sender(stack)
        assert all(sender.post().get("accepted") for _ in range(50))
        wait_until(lambda: len(sender.stored()) == 50, "the first records are stored")
        living = pids(stack)

        ballast = fill(disk)
        wait_until(lambda: REFUSAL in sender.post().get("error", ""), "records are refused")
        wait_until(lambda: told(receivers), "somebody is told")
        (alert,) = [body for body in receivers.bodies if body["component"] == "botwatch"]
        assert alert["message"].startswith("Disk full on ")
        assert str(disk) in alert["message"]
        for _ in range(20):
            sender.post()
        reasons = stack.dashboard("/api/monitoring")["summary"]["reasons"]
        assert f"{REFUSAL}: showing the last stored values." in reasons
        assert not [reason for reason in reasons if "does not respond" in reason or "not running" in reason]

        ballast.unlink()
        wait_until(lambda: sender.post().get("accepted"), "records are taken again")
        wait_until(lambda: sender.accepted <= set(sender.stored()), "all are stored")
        assert len(sender.stored()) == len(set(sender.stored()))
        wait_until(lambda: len(told(receivers)) > 1, "its end is told")
        assert pids(stack) == living

        ballast = leave(disk, 13)
        wait_until(lambda: level(stack) == "very low", "recording is paused")
        wait_until(lambda: waits(sender), "an accepted record waits in the log")
        ballast.unlink()
        ballast = leave(disk, 5)
        wait_until(lambda: "disk is full" in sender.post().get("error", ""), "records are rejected in time")
        assert level(stack) == "full"
        ballast.unlink()
        wait_until(lambda: sender.post().get("accepted"), "records are taken again")
        wait_until(lambda: sender.accepted <= set(sender.stored()), "what waited is stored")
        assert level(stack) == "ok"
    changes = told(receivers)
    assert changes[:2] == [("botwatch-disk-full", "opened"), ("botwatch-disk-full", "resolved")]
    assert {rule for rule, _ in changes} == {"botwatch-disk-full"}
