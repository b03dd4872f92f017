"""How pytest-xdist distributes the tests: each module to one worker, where its servers start once.

Most integration modules start `botwatch up`, eleven processes; those of the lane "shared stack" share one.
Started all at once they would starve each other, so the integration modules form lanes: one worker runs the
modules of a lane one after the other, and the longest begin first. pytest-xdist's own groups
(`--dist loadgroup`) do nothing with pytest 9.2: pytest-xdist 3.8 sets an attribute of the tests that pytest
no longer reads.
"""

import re

from xdist.scheduler import LoadFileScheduling

LANES = {
    "watchdog": ("watchdog",),
    "shared stack": (
        "alertmanager", "analytics", "bench", "commands", "examples", "heartbeats", "import", "jobs", "kills",
        "metrics", "muting", "path", "reload", "rules", "takeover",
    ),
    "kills and checks": ("notice_kills", "spool", "checks", "full_disk"),
    "starts and notices": ("up", "restored", "upgrade", "canaries", "notices"),
    "demo and production": ("dashboards", "production", "client_alone"),
}  # fmt: skip
"""The integration modules, `test_*.py`, that run one after the other."""
ORACLES = tuple(
    f"tests/unit/analytics/test_{name}.py" for name in ("drawdown", "returns", "trades", "value_at_risk")
)
"""These import pandas, which takes seconds."""
BROWSER = re.compile(
    r"tests/unit/(dashboard/(views/test_\w+|test_(\w+_page|foreign_names|page_modules|shell))"
    r"|notifier/test_templates)\.py"
)
"""These share one Chromium, which takes seconds to start."""
CONTROL_GROUPS = tuple(f"tests/unit/collector/checks/test_{name}.py" for name in ("container", "systemd"))
"""A systemd that starts moves all processes of the root control group to one of its own, and so those of the
other module out of their group with limits."""
LANE_OF = {
    **{f"tests/integration/test_{name}.py": lane for lane, names in LANES.items() for name in names},
    **dict.fromkeys(ORACLES, "oracles"),
    **dict.fromkeys(CONTROL_GROUPS, "control groups"),
}
LONGEST = (
    "watchdog",
    "shared stack",
    "browser",
    "kills and checks",
    "starts and notices",
    "demo and production",
    "tests/unit/collector/",
    "tests/unit/dashboard/",
    "tests/unit/notifier/",
    "tests/unit/client/",
    "tests/unit/evaluator/",
    "tests/unit/runtime/",
    "tests/unit/broadcaster/",
    "tests/unit/jobs/",
)
"""Lanes and folders in the order of how long they take."""


class LaneScheduling(LoadFileScheduling):  # type: ignore[misc] # it has no types
    """Keeps a module, or the modules of a lane, on one worker."""

    def _split_scope(self, nodeid: str) -> str:
        module: str = super()._split_scope(nodeid)
        return lane_of(module)


def lane_of(module: str) -> str:
    """Return the name of a module's lane; its own path if it has none."""
    return "browser" if BROWSER.fullmatch(module) else LANE_OF.get(module, module)


def turn(nodeid: str) -> int:
    """Return the place of a test's lane or folder in the order in which tests begin."""
    lane = lane_of(nodeid.partition("::")[0])
    places = (place for place, begins in enumerate(LONGEST) if lane == begins or nodeid.startswith(begins))
    return next(places, len(LONGEST))
