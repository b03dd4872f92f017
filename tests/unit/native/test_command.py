"""`botwatch up`: what its process keeps in memory while the parts run."""

import subprocess
import sys

HEAVY = ("services.native.preparation", "shared.runtime.config.documents", "sqlalchemy")


def test_it_keeps_only_what_it_needs_while_the_parts_run() -> None:
    """Checks and databases are for a process that ends: this one imports neither SQLAlchemy nor documents."""
    code = f"import sys, services.native.command; print([one for one in {HEAVY} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
