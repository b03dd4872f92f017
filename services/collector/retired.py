"""Retired checks: those that the document has no more say so once, so that no alert of theirs stays open."""

from collections.abc import Iterable
from pathlib import Path

import msgspec
import structlog

from services.collector.probe import Look
from services.collector.rounds import Watched
from shared.schema.records import CheckType

log = structlog.get_logger()

GONE = Look("ok", "it is no longer checked")


class Known(msgspec.Struct, frozen=True, order=True):
    """A check as it is remembered."""

    name: str
    type: CheckType


def retire(file: Path, watched: Iterable[Watched]) -> list[Known]:
    """Remember the checks that there are now; return those that were remembered and are no more."""
    now = {Known(one.name, one.probe.type) for one in watched}
    try:
        before = set(msgspec.json.decode(file.read_bytes(), type=list[Known]))
    except FileNotFoundError:
        before = set()
    except (OSError, msgspec.DecodeError) as error:
        log.warning("the checks from before are not known; alerts of theirs may stay open", error=str(error))
        before = set()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Put in place whole: a torn file would be read as none.
        written = file.with_suffix(".new")
        written.write_bytes(msgspec.json.encode(sorted(now)))
        written.replace(file)
    except OSError as error:
        log.warning("the checks cannot be remembered", error=str(error))
    return sorted(before - now)
