"""Secrets: files that only their owner may read."""

import stat
from collections.abc import Sequence
from datetime import datetime

from services.collector.place import Place
from services.collector.probe import Look, Probe
from services.collector.watched_files import Found, listed, match, mode
from shared.runtime.checks import SecuritySection
from shared.schema.records import CheckType

MOST_TOLD = 5


def probe(section: SecuritySection, timeout_s: float, place: Place) -> Probe:
    """Make the probe of `section.secrets`."""
    del timeout_s  # Only modes are read.
    return SecretProbe(section.secrets, place)


class SecretProbe:
    """Looks at the modes, never into the files."""

    type: CheckType = "secret"

    def __init__(self, patterns: Sequence[str], place: Place) -> None:
        self._patterns = patterns
        self._root = place.root

    def look(self, now: datetime) -> Look:
        """Look once; `unknown` when some may not be seen and the others are well."""
        del now
        found: dict[str, Found] = {}
        missing, hidden = [], []
        for pattern in self._patterns:
            matches = match(self._root, pattern)
            found |= {one.name: one for one in matches.found}
            if not matches.complete:
                hidden.append(pattern)
            elif not matches.found:
                missing.append(pattern)
        return judge(list(found.values()), missing, hidden)


def judge(found: Sequence[Found], missing: Sequence[str], hidden: Sequence[str]) -> Look:
    """Say which files others than their owner may read; critical when everybody may."""
    everybody = [one for one in found if one.status.st_mode & stat.S_IRWXO]
    group = [one for one in found if one.status.st_mode & stat.S_IRWXG and one not in everybody]
    figures = {"occurrences": len(everybody) + len(group)}
    if everybody or group:
        told = [f"{one.name} ({mode(one.status)}) {_may(one)}" for one in (*everybody, *group)]
        text = listed(told, MOST_TOLD) + "; expected that only the owner may (chmod go= FILE)"
        return Look("critical" if everybody else "warning", text, "other", figures)
    if hidden:
        return Look(
            "unknown", f"not all of {', '.join(hidden)} may be seen by this collector", "denied", figures
        )
    files = f"{len(found)} secrets" if len(found) != 1 else "one secret"
    absent = f"; nothing fits {', '.join(missing)}" if missing else ""
    return Look("ok", f"only their owners may read {files}{absent}", None, figures)


def _may(one: Found) -> str:
    bits = one.status.st_mode
    if bits & stat.S_IRWXO:
        return "may be written by everybody" if bits & stat.S_IWOTH else "may be read by everybody"
    return f"may be {'written' if bits & stat.S_IWGRP else 'read'} by its group"
