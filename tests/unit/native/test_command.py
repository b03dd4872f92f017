"""`botwatch up`: what its process keeps in memory while the parts run."""

import os
import signal
import subprocess
import sys
from typing import NoReturn

import pytest

from services.native import preparation
from services.native.command import up

HEAVY = ("services.native.preparation", "shared.runtime.config.documents", "sqlalchemy")


def test_it_keeps_only_what_it_needs_while_the_parts_run() -> None:
    """Checks and databases are for a process that ends: this one imports neither SQLAlchemy nor documents."""
    code = f"import sys, services.native.command; print([one for one in {HEAVY} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_checks_that_are_killed_are_a_failed_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As by the kernel when memory is short: it is said, and nothing starts."""
    monkeypatch.setattr(preparation, "check_and_prepare", _kill)
    assert _up() == 1
    assert capsys.readouterr().err == "botwatch up: the checks ended early (exit code -9)\n"


def test_ctrl_c_ends_the_checks(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """They hand it back, and print no traceback."""
    monkeypatch.setattr(preparation, "check_and_prepare", _interrupt)
    with pytest.raises(KeyboardInterrupt):
        _up()
    assert capfd.readouterr().err == ""


def _up() -> int:
    umask = os.umask(0)
    os.umask(umask)
    try:
        return up({}, demo=False)
    finally:
        os.umask(umask)


def _kill(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _interrupt(*_: object, **__: object) -> NoReturn:
    raise KeyboardInterrupt
