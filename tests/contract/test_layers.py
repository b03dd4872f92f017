"""The import contracts of pyproject.toml hold, and would notice a violation."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from shared.runtime.settings import REPOSITORY

pytestmark = pytest.mark.slow  # checks the imports of all modules

PLANTED = {
    "services never import each other": (
        "services/evaluator/open_alerts.py",
        "import services.recorder.conflicts",
    ),
    "the store does not know the runtime": ("shared/store/alerts.py", "import shared.runtime.clock"),
    "rules have no clock": ("shared/rules/measures/window.py", "import time"),
    "rules do not ask what time it is": ("shared/rules/rule.py", "import shared.runtime.clock"),
    "rules do no I/O through others": (
        "shared/rules/rule_state.py",
        "import shared.runtime.redis.wake",
    ),
    "the hub does no I/O": ("services/broadcaster/hub.py", "import asyncio"),
    "the wire knows no Redis": ("shared/schema/records.py", "import redis"),
    "the bot's side knows no service": (
        "client/botwatch/client.py",
        "import services.ingestion.request_body",
    ),
}


CYCLE = ("services/notifier/content/message.py", "import services.notifier.channels.base")
PURE = re.compile(r'"""[^"]*\bPure\b')
"""How a module begins that says that it is pure."""


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": f"{folder}:{folder / 'client'}"}
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as c; c()",
        "--no-cache",
    ]
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    for name in ("services", "shared", "client"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    return folder


def test_the_contracts_hold(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def violations(copy: Path) -> str:
    """Return what the check says about a tree with every violation; one run, for each takes seconds."""
    planted = copy.with_name("planted")
    shutil.copytree(copy, planted)
    for name, statement in (*PLANTED.values(), CYCLE):
        with (planted / name).open("a") as module:
            module.write(f"\n{statement}\n")
    done = lint(planted)
    assert done.returncode == 1, done.stdout
    return done.stdout


@pytest.mark.parametrize("rule", PLANTED)
def test_a_planted_violation_is_found(rule: str, violations: str) -> None:
    name, statement = PLANTED[rule]
    importer = name.removeprefix("client/").removesuffix(".py").replace("/", ".")
    assert f"{importer} -> {statement.removeprefix('import ')} (l." in violations, rule


def test_a_planted_cycle_of_folders_is_found(violations: str) -> None:
    assert "- .content -> .channels (1 import)" in violations


def test_every_module_that_says_pure_is_in_the_contract() -> None:
    pyproject = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    contracts = pyproject["tool"]["importlinter"]["contracts"]
    (pure,) = (contract for contract in contracts if contract["name"].startswith("Pure modules"))
    listed = tuple(pure["source_modules"])
    folders = (REPOSITORY / "services", REPOSITORY / "shared", REPOSITORY / "client" / "botwatch")
    for folder in folders:
        for path in folder.rglob("*.py"):
            name = ".".join(path.relative_to(folder.parent).with_suffix("").parts).removesuffix(".__init__")
            if PURE.match(path.read_text()):
                assert name in listed or name.startswith(tuple(f"{one}." for one in listed)), name
