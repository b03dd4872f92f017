"""Pictures for docs/dashboards.md: `python -m tests.dashboard_pictures docs/dashboards` draws them.

It runs the demo of `tests.monitored_demo` with a real Prometheus for some minutes, so that graphs have lines.
"""

import sys
import tempfile
import time
from pathlib import Path

from grafana.render import render
from tests.integration.conftest import run_receivers
from tests.monitored_demo import DEMO_BOT, MonitoredDemo, monitored_demo

RUN_S = 300
TURN_S = 5


def main(folder: Path) -> None:
    """Write the pictures to `folder`."""
    with (
        tempfile.TemporaryDirectory() as name,
        run_receivers() as receivers,
        monitored_demo(Path(name), receivers) as demo,
    ):
        act_for(RUN_S / 2, demo)
        with demo.open_door():
            act_for(RUN_S / 2, demo)
            for line in render(folder, demo.prometheus, RUN_S, DEMO_BOT):
                sys.stdout.write(f"{line}\n")


def act_for(seconds: float, demo: MonitoredDemo) -> None:
    """Let bots and people act for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        demo.act()
        time.sleep(TURN_S)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
