"""Commands that are given the default home while the demo of `make run` runs beside it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.native.diagnostics.home import check_process
from services.native.diagnostics.site import Site
from shared.runtime.command_home import demo_hint, require_database, running_demo
from shared.schema.faults import InvalidError
from shared.store.database import Database, sqlite_url


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Path]:
    """Run a process that looks like the supervisor of a demo in the home `tmp_path`."""
    sleep = "import sys; sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", sleep, "supervisord"], stdin=subprocess.PIPE) as process:
        file = tmp_path / "demo" / "run" / "supervisord.pid"
        file.parent.mkdir(parents=True)
        file.write_text(f"{process.pid}\n")
        yield tmp_path / "demo"
        process.communicate()


def test_a_missing_database_leads_to_the_demo(tmp_path: Path, demo: Path) -> None:
    """The error says where Botwatch runs and what to set."""
    with closing(Database(sqlite_url(tmp_path / "data" / "x.db"))) as database:
        with pytest.raises(InvalidError, match="does not exist: start Botwatch first") as raised:
            require_database(database, "users", tmp_path)
        assert f"Botwatch runs in {demo}: set BOTWATCH_HOME={demo}" in str(raised.value)
        assert not database.path.exists()


def test_the_doctor_leads_to_the_demo(tmp_path: Path, demo: Path) -> None:
    """Its fix is a command, as all are."""
    (found,) = check_process(Site({"BOTWATCH_HOME": str(tmp_path)}))
    assert (found.status, found.fix) == ("critical", f"BOTWATCH_HOME={demo} botwatch doctor")


def test_without_a_demo_there_is_no_hint(tmp_path: Path) -> None:
    assert (running_demo(tmp_path), demo_hint(tmp_path)) == (None, "")
