"""What earlier releases stored: a folder for each with its home and what its API answered.

`home.tar.xz` is `BOTWATCH_HOME` as that release left it (databases, the log in Redis, keys), `answers.json`
has the answers of its API just before it stopped. `python -m tests.releases` records this checkout.
"""

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
RELEASES = sorted(path.name for path in FOLDER.glob("*.*.*"))
BOT = "grid-7"
"""The bot that trades; the other one, `dca-1`, has a silenced alert that is resolved."""


def read_answers(get: Callable[[str], Any]) -> dict[str, Any]:
    """Return what the dashboard answers about the two bots; `get` reads a path below `/api/monitoring`."""
    listed = [alert for alert in get("/alerts") if alert["component"] in (BOT, "dca-1")]
    return {
        "alerts": [get(f"/alerts/{alert['id']}") for alert in listed],
        "silences": get("/silences"),
        "performance": get(f"/performance?bot={BOT}"),
    }


def unpack(release: str, home: Path) -> None:
    """Unpack the home of a release into the folder `home`."""
    with tarfile.open(FOLDER / release / "home.tar.xz") as archive:
        archive.extractall(home, filter="data")


def pack(home: Path, archive: Path) -> None:
    """Write what must survive an upgrade, all but logs and process ids, to an archive."""
    with tarfile.open(archive, "w:xz") as to:
        for folder in sorted(path for path in home.iterdir() if path.name not in ("logs", "run")):
            to.add(folder, folder.name)
