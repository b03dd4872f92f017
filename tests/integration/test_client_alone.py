"""The client in an empty virtual environment: what a bot's machine has, without the server."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import files, requires
from itertools import chain
from pathlib import Path

import pytest
import redis
from packaging.requirements import Requirement

from botwatch.cli.app import API_COMMANDS, SERVER_COMMANDS
from botwatch.cli.exit_codes import UNREACHABLE
from shared.runtime.settings import REPOSITORY
from shared.version import VERSION
from tests.support import free_port

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a virtual environment with the client and redis only, installed offline."""
    folder = tmp_path_factory.mktemp("client")
    source, environment = folder / "source", folder / "venv"
    shutil.copytree(REPOSITORY / "client", source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    venv.create(environment, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    offline = ("--no-deps", "--no-index", "--no-build-isolation", "--no-compile")
    install = [*pip, "install", *offline, "--ignore-installed", "--prefix", str(environment), str(source)]
    subprocess.run(install, timeout=100, check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    (packages / "redis").symlink_to(Path(redis.__file__).parent)
    return environment


@pytest.fixture(scope="module")
def with_cli(empty: Path) -> Path:
    """Return a folder with the packages of the extra `cli`, to be added to the path."""
    folder = empty / "cli-packages"
    folder.mkdir()
    extra = {"websockets", *chain.from_iterable(map(requirements, ("typer", "rich")))}
    for name in extra:
        for file in files(name) or ():
            top = Path(file.parts[0])
            if top.suffix in ("", ".py") and top.name not in ("..", "__pycache__"):
                (folder / top).unlink(missing_ok=True)
                (folder / top).symlink_to(Path(str(file.locate())).parents[len(file.parts) - 1] / top)
    return folder


def requirements(package: str) -> set[str]:
    """Return a package and what it needs here, directly and indirectly."""
    named = [Requirement(one) for one in requires(package) or ()]
    needed = [one.name for one in named if one.marker is None or one.marker.evaluate({"extra": ""})]
    return {package}.union(*map(requirements, needed))


def run(environment: Path, *command: str, packages: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the environment's Python, in a folder and with variables that know nothing of the checkout."""
    variables = {"PYTHONPATH": str(packages)} if packages else {}
    return subprocess.run(
        [str(environment / "bin" / "python"), *command],
        cwd=environment, env=variables, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_command_says_what_to_install(empty: Path) -> None:
    """The library needs no Typer; the command without it says so, but for its version."""
    assert run(empty, "bin/botwatch", "--version").stdout == f"botwatch {VERSION}\n"
    done = run(empty, "bin/botwatch", "bots", "list")
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'botwatch[cli]'" in done.stderr


def test_help(empty: Path, with_cli: Path) -> None:
    """With the extra `cli` the command works, and lists the server's commands too."""
    done = run(empty, "bin/botwatch", "--help", packages=with_cli)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f"  {name} " in done.stdout for name in (*API_COMMANDS, *SERVER_COMMANDS))


def test_a_server_command_says_what_to_install(empty: Path, with_cli: Path) -> None:
    """One line instead of an import error, whatever arguments follow."""
    done = run(empty, "bin/botwatch", "up", "--demo", packages=with_cli)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "botwatch: 'up' comes with the Botwatch server, which is not installed here: run `make run` in "
        "Botwatch's repository, or install its distribution `botwatch-server`\n"
    )


def test_a_client_command_without_a_server(empty: Path, with_cli: Path) -> None:
    """It names the address that does not respond."""
    url = f"http://127.0.0.1:{free_port()}"
    done = run(empty, "bin/botwatch", "bots", "list", "--url", url, packages=with_cli)
    assert done.returncode == UNREACHABLE
    assert done.stderr.startswith(f"botwatch: {url} ")
    assert "Connection refused" in done.stderr


def test_the_library_and_the_demo_can_be_imported(empty: Path) -> None:
    """Only redis and the standard library are imported; the demo says which package has its prices."""
    done = run(empty, "-c", "import botwatch; botwatch.MonitoringController('b').close()")
    assert (done.returncode, done.stderr) == (0, "")
    done = run(empty, "-m", "botwatch.demo", "--bars", "1")
    assert done.returncode == 1
    assert "package backtesting" in done.stderr
