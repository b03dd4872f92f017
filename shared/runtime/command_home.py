"""What commands on the server's machine need of a home: its databases, and where Botwatch runs instead."""

from pathlib import Path
from shlex import quote

from shared.runtime.supervisor_pid import running_supervisor
from shared.schema.faults import Fault, InvalidError
from shared.store.database import Database


def running_demo(home: Path) -> Path | None:
    """Return the home of the demo if `make run` runs it, and no Botwatch runs in `home`."""
    demo = home.absolute() / "demo"
    return demo if running_supervisor(demo) and not running_supervisor(home) else None


def demo_hint(home: Path) -> str:
    """Return `; Botwatch runs in …` if the command was meant for the demo, else nothing."""
    demo = running_demo(home)
    return f"; Botwatch runs in {demo}: set BOTWATCH_HOME={quote(str(demo))}" if demo else ""


def require_database(database: Database, table: str, home: Path) -> None:
    """Raise InvalidError unless the file exists with `table`; connecting would create an empty one."""
    try:
        is_missing = not database.path.is_file()
    except OSError as error:
        raise InvalidError([Fault(str(database.path), f"cannot be read: {error.strerror}")]) from error
    if is_missing:
        hint = f"does not exist: start Botwatch first{demo_hint(home)}"
        raise InvalidError([Fault(str(database.path), hint)])
    database.require_schema(table)
