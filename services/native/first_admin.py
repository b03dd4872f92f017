"""The first admin: made at the first production start, so that somebody can sign in."""

import json
import sqlite3
import subprocess
from contextlib import closing

from services.native.diagnostics.site import Site
from services.native.upgrade import command
from shared.runtime.settings import REPOSITORY
from shared.store.revisions import open_read_only

NAME = "admin"
LIST_TIMEOUT_S = 60.0


def create_first_admin(site: Site) -> None:
    """Make the user `admin` and print the generated password, once, if there is no user.

    Only where somebody reads it: the password is in no log and no file.
    """
    if has_users(site):
        return
    print("\nNobody can sign in yet. The first admin, whose password is shown only here:", flush=True)
    add = [*command(site, site.environ), "user", "add", NAME, "--role", "admin", "--generate"]
    done = subprocess.run(add, env=site.environ, cwd=REPOSITORY, check=False)  # no timeout: prints by itself
    if done.returncode:
        print("It was not made: correct what the line above says, then run: " + " ".join(add), flush=True)


def has_users(site: Site) -> bool:
    """Return whether there is a user; True if that cannot be found out."""
    if site.way == "compose":
        return _has_users_in_container(site)
    try:
        with closing(open_read_only(site.databases["health"])) as connection:
            return connection.execute("SELECT 1 FROM users LIMIT 1").fetchone() is not None
    except sqlite3.Error:
        return True


def _has_users_in_container(site: Site) -> bool:
    listing = [*command(site, site.environ), "user", "list", "--json"]
    try:
        done = subprocess.run(
            listing,
            env=site.environ,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=LIST_TIMEOUT_S,
            check=False,
        )
        return done.returncode != 0 or bool(json.loads(done.stdout))
    except (subprocess.TimeoutExpired, ValueError):
        return True
