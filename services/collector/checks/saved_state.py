"""State: what a probe must know after a restart of the collector, in a small file for each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
import structlog

from services.collector.checks.base import CheckResult
from shared.schema.records import CheckType

log = structlog.get_logger()

REMOVED = CheckResult("ok", "Check removed from the configuration")
"""Result of a check that the document no longer has: it ends the check's alerts."""

S = TypeVar("S", bound=msgspec.Struct)


class SavedState(Generic[S]):
    """One struct in `<folder>/<name>.json`.

    It is replaced as a whole: killed at any moment, a process leaves the old one or the new one.
    """

    def __init__(self, kind: type[S], name: str, folder: Path) -> None:
        self._path = folder / f"{name}.json"
        self._decoder = msgspec.json.Decoder(kind)
        self._written = b""
        self._failing = False

    def load(self) -> S | None:
        """Return what was saved; None when nothing was, or when it cannot be read, which is logged."""
        try:
            return self._decoder.decode(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("check state is unreadable; starting fresh", file=str(self._path), error=str(error))
            return None

    def save(self, state: S) -> None:
        """Write `state` unless it is what was written last; an OSError is logged once."""
        data = msgspec.json.encode(state, order="deterministic")
        if data == self._written:
            return
        try:
            self._replace(data)
        except OSError as error:
            if not self._failing:
                log.error("cannot save check state", file=str(self._path), error=str(error))
            self._failing = True
        else:
            self._written, self._failing = data, False

    def _replace(self, data: bytes) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_bytes(data)
        new.replace(self._path)


class KnownChecks(msgspec.Struct):
    """The checks that there were, by name."""

    types: dict[str, CheckType]


def replace_known_checks(folder: Path, now: Mapping[str, CheckType]) -> dict[str, CheckType]:
    """Remember in `folder` the checks that there are now; return those that were remembered and are no more.

    A check that is of another type now is another check: its alert was one of another rule.
    """
    state = SavedState(KnownChecks, "checks", folder)
    before = state.load()
    state.save(KnownChecks(dict(now)))
    types = before.types if before else {}
    return {name: kind for name, kind in types.items() if now.get(name) != kind}
