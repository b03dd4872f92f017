"""Retired checks: those that the document has no more say so once, so that no alert of theirs stays open."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from services.collector.checks.base import CheckResult
from services.collector.checks.saved_state import SavedState
from services.collector.checks.scheduler import ScheduledCheck
from shared.schema.records import CheckType

REMOVED = CheckResult("ok", "Check removed from the configuration")


class KnownChecks(msgspec.Struct):
    """The checks that there were, by name."""

    types: dict[str, CheckType]


def replace_known_checks(folder: Path, watched: Iterable[ScheduledCheck]) -> dict[str, CheckType]:
    """Remember in `folder` the checks that there are now; return those that were remembered and are no more.

    A check that is of another type now is another check: its alert was one of another rule.
    """
    state = SavedState(KnownChecks, "checks", folder)
    before, now = state.load(), {one.name: one.probe.type for one in watched}
    state.save(KnownChecks(now))
    types = before.types if before else {}
    return {name: kind for name, kind in types.items() if now.get(name) != kind}
