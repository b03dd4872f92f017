"""Before an upgrade: whether this start is one, and the backup that it needs."""

import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence

from services.native.diagnostics.site import Site
from services.native.start_error import StartError
from shared.runtime.file_modes import write_private
from shared.runtime.settings import REPOSITORY
from shared.store.revisions import known_revisions, stored_revision
from shared.version import VERSION

COMMAND = (sys.executable, "-m", "botwatch.cli")
IN_COMPOSE = ("docker", "compose", "run", "--rm", "-T", "botwatch")
BUILD = ("docker", "compose", "build", "--quiet", "botwatch")
"""Apart from running it: the progress of a build would stand in the command's output."""


def upgrade_reason(site: Site) -> str:
    """Return what this start changes of an earlier one; empty if nothing."""
    version = site.home / "run" / "version"
    earlier = version.read_text(encoding="utf-8").strip() if version.exists() else VERSION
    reasons = [] if earlier == VERSION else [f"version {earlier} → {VERSION}"]
    for line, path in site.databases.items():
        newest = known_revisions(line)[-1]
        try:
            found = stored_revision(path) if path.exists() and path.stat().st_size else None
        except sqlite3.Error:
            continue  # the checks say what is wrong with it
        if found not in (None, newest):
            reasons.append(f"{path.name}: schema {found} → {newest}")
    return ", ".join(reasons)


def remember_version(site: Site) -> None:
    """Store the version that has started."""
    write_private(site.home / "run" / "version", f"{VERSION}\n", 0o640)


def command(site: Site, environ: Mapping[str, str]) -> Sequence[str]:
    """Return how to run `botwatch` where the databases are; in compose its image is built first."""
    if site.way != "compose":
        return COMMAND
    subprocess.run(
        BUILD, env=environ, cwd=REPOSITORY, stdin=subprocess.DEVNULL, check=False
    )  # says why itself
    return IN_COMPOSE


def back_up(site: Site, environ: Mapping[str, str]) -> None:
    """Back up before an upgrade; StartError if that fails."""
    reason = upgrade_reason(site)
    if not reason:
        return
    print(f"Backing up before the upgrade ({reason}) …", flush=True)
    done = subprocess.run(
        [*command(site, environ), "backup", "now"],
        env=environ,
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,  # no timeout: a large database takes minutes
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise StartError(f"the backup before the upgrade failed: {said}; nothing was upgraded")
    print(done.stdout.strip(), flush=True)
