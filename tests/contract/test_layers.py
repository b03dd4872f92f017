"""The import contracts of pyproject.toml hold, and would notice a violation."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shared.runtime.settings import REPOSITORY

PLANTED = {
    "services never import each other": (
        "services/evaluator/rule_result.py",
        "import services.recorder.batch",
    ),
    "the store does not know the runtime": ("shared/store/alerts.py", "import shared.runtime.clock"),
    "rules have no clock": ("services/evaluator/rules/window.py", "import time"),
    "the hub does no I/O": ("services/broadcaster/hub.py", "import asyncio"),
    "the wire knows no Redis": ("shared/schema/records.py", "import redis"),
    "the bot's side knows no service": (
        "client/botwatch/client.py",
        "import services.ingestion.request_body",
    ),
}


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


@pytest.mark.parametrize("rule", PLANTED)
def test_a_planted_violation_is_found(rule: str, copy: Path) -> None:
    name, statement = PLANTED[rule]
    path = copy / name
    text = path.read_text()
    try:
        path.write_text(f"{text}\n{statement}\n")
        assert lint(copy).returncode == 1, rule
    finally:
        path.write_text(text)
