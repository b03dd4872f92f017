"""Diagnostics of the machine: versions, ports, disk, memory."""

import socket
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from services.native import compose
from services.native.diagnostics import machine
from services.native.diagnostics.finding import Finding
from services.native.diagnostics.site import Site
from tests.support import free_port

Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 - shutil's


def site(home: Path, **environ: str) -> Site:
    return Site({"BOTWATCH_HOME": str(home), **environ})


@pytest.mark.parametrize(("version", "status"), [((3, 10, 9), "critical"), ((3, 11, 0), "ok")])
def test_python(
    version: tuple[int, int, int], status: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Older than 3.11 is refused."""
    monkeypatch.setattr(sys, "version_info", version)
    [found] = machine.check_python(site(tmp_path))
    assert found.status == status


@pytest.mark.parametrize(("free", "status"), [(1 << 20, "critical"), (100 << 20, "warning"), (2 << 30, "ok")])
def test_disk(free: int, status: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Little space is a warning, none prevents the start; a home that does not exist yet is no problem."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(1 << 40, 0, free))
    [found] = machine.check_disk(site(tmp_path / "not" / "yet"))
    assert (found.status, found.value) == (status, free)
    assert (found.fix == "") is (status == "ok")


def test_a_port_of_another_process(tmp_path: Path) -> None:
    """The finding has the holder, and the setting to change."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ports = {"INGESTION_PORT": free_port(), "DASHBOARD_PORT": free_port(), "REDIS_PORT": free_port()}
        environ = {name: str(number) for name, number in ports.items()}
        found = list(machine.check_ports(site(tmp_path, WEBSOCKET_PORT=str(port), **environ)))
    [taken] = [one for one in found if one.status != "ok"]
    assert taken.what.startswith(f"port {port} (WEBSOCKET_PORT) is taken by ")
    assert "(pid " in taken.what
    assert taken.value == port


def docker(monkeypatch: pytest.MonkeyPatch, code: int, output: str, error: str = "") -> list[Finding]:
    """Return what is found if `docker` answers so."""
    done = subprocess.CompletedProcess([], code, output, error)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: done)
    return list(machine.check_docker(Site({}, "compose")))


@pytest.mark.parametrize(
    ("code", "output", "error", "expected", "fix"),
    [
        (0, "28.2.2\n", "", "Docker Engine 28.2.2", ""),
        (0, "24.0.7\n", "", "Docker Engine 24.0.7 is too old (needs 26.0)", "install"),
        (1, "", "permission denied while trying to connect", "Docker Engine is not usable", "usermod"),
        (1, "", "Cannot connect to the Docker daemon", "Docker Engine is not usable", "systemctl start"),
    ],
)
def test_docker(
    code: int, output: str, error: str, expected: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its version, and why it cannot be used."""
    found = docker(monkeypatch, code, output, error)[0]
    assert found.what.startswith(expected)
    assert fix in found.fix


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_an_address_of_another_machine_cannot_be_listened_at(host: str, tmp_path: Path) -> None:
    """Else the web parts end again and again, and the start only says that it waits."""
    ports = ("INGESTION_PORT", "DASHBOARD_PORT", "WEBSOCKET_PORT", "REDIS_PORT")
    free = {name: str(free_port()) for name in ports}
    [found, *others] = machine.check_ports(site(tmp_path, BIND_HOST=host, **free))
    assert (found.status, {one.status for one in others}) == ("critical", {"ok"})
    assert found.what.startswith(f"BIND_HOST is '{host}': ")
    assert {one.status for one in machine.check_ports(site(tmp_path, BIND_HOST="::1", **free))} == {"ok"}


def test_ports_of_the_compose_file_are_named_by_their_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose tells which ports it publishes, with .env taken into account."""
    text = (
        '{"services": {"dashboard": {"ports": [{"published": "3001"}]}, "migrate": {},'
        ' "broadcaster": {"ports": [{"published": "8080"}]}}}'
    )
    done = subprocess.CompletedProcess([], 0, text, "")
    monkeypatch.setattr("subprocess.run", lambda *_, **__: done)
    assert compose.published_ports({}) == {"DASHBOARD_PORT": 3001, "WEBSOCKET_PORT": 8080}
