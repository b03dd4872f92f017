"""Retired checks: those that the document has no more say so once, so that no alert of theirs stays open."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from services.collector.probe import Look
from services.collector.rounds import Watched
from services.collector.state import State
from shared.schema.records import CheckType

GONE = Look("ok", "it is no longer checked")


class Checks(msgspec.Struct):
    """The checks that there were, by name."""

    types: dict[str, CheckType]


def retire(folder: Path, watched: Iterable[Watched]) -> dict[str, CheckType]:
    """Remember in `folder` the checks that there are now; return those that were remembered and are no more.

    A check that is of another type now is another check: its alert was one of another rule.
    """
    state = State(Checks, "checks", folder)
    before, now = state.load(), {one.name: one.probe.type for one in watched}
    state.save(Checks(now))
    types = before.types if before else {}
    return {name: kind for name, kind in types.items() if now.get(name) != kind}
