"""Before the parts start: run the checks, make the folders."""

from pathlib import Path

from services.native.diagnostics.finding import Finding
from services.native.diagnostics.home import FOLDERS, FURTHER_FOLDERS
from services.native.diagnostics.registry import PREFLIGHT, diagnose
from services.native.diagnostics.site import Site
from services.native.start_error import StartError
from shared.runtime.settings import REPOSITORY

START_SCRIPT = REPOSITORY / "deploy" / "start_monitoring.sh"


def require_ready(site: Site) -> list[Finding]:
    """Run every check of the start and return the findings.

    StartError with a sentence per critical finding, or if Botwatch already runs.
    """
    if site.supervisor:
        raise StartError(f"Botwatch is already running in {site.home} (pid {site.supervisor.pid})")
    findings = list(diagnose(site, PREFLIGHT))
    if faults := [f"{one.what}; {one.fix}" for one in findings if one.status == "critical"]:
        raise StartError(*faults)
    return findings


def create_folders(home: Path, config: Path) -> None:
    """Create the folders of `home`, and what the guide names relative to `enterprise/monitoring`.

    StartError if one cannot be made.
    """
    for folder in (*FOLDERS, *FURTHER_FOLDERS):
        path = home / folder
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise not_writable(path, error.strerror) from error
    _link(home / "config" / "monitoring", config.absolute())
    _link(home / "enterprise" / "monitoring" / START_SCRIPT.name, START_SCRIPT)


def _link(path: Path, target: Path) -> None:
    """Make `path` a link to `target`; what a user has put there instead stays."""
    if path.is_symlink() and path.readlink() != target:
        path.unlink()
    if not path.exists() and not path.is_symlink():
        path.symlink_to(target)


def not_writable(path: Path, reason: str | None) -> StartError:
    """Return the error of a folder that cannot be written."""
    return StartError(
        f"cannot write to {path}: {reason}; set BOTWATCH_HOME to a folder that this user may write to"
    )
