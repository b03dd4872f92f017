"""Secrets: files that only their owner may read."""

import stat
from collections.abc import Sequence
from datetime import datetime

from services.collector.checks.base import CheckResult, Probe
from services.collector.checks.security.file_patterns import (
    MatchedFile,
    format_mode,
    join_limited,
    match_files,
)
from services.collector.host.watched_host import WatchedHost
from shared.schema.records import CheckType

MAX_LISTED = 5


def create_probe(patterns: Sequence[str], timeout_s: float, place: WatchedHost) -> Probe:
    """Make the probe of `patterns`."""
    del timeout_s  # Only modes are read.
    return SecretProbe(patterns, place)


class SecretProbe:
    """Reads the modes of files, never their content."""

    type: CheckType = "secret"

    def __init__(self, patterns: Sequence[str], place: WatchedHost) -> None:
        self._patterns = patterns
        self._root = place.root

    def run(self, now: datetime) -> CheckResult:
        """Run once; `unknown` if some cannot be read and the others are ok."""
        del now
        found: dict[str, MatchedFile] = {}
        missing, hidden = [], []
        for pattern in self._patterns:
            matches = match_files(self._root, pattern)
            found |= {one.name: one for one in matches.found}
            if not matches.complete:
                hidden.append(pattern)
            elif not matches.found:
                missing.append(pattern)
        return evaluate_modes(list(found.values()), missing, hidden)


def evaluate_modes(
    found: Sequence[MatchedFile], missing: Sequence[str], hidden: Sequence[str]
) -> CheckResult:
    """Say which files others than their owner may read; critical when everybody may."""
    everybody = [one for one in found if one.status.st_mode & stat.S_IRWXO]
    group = [one for one in found if one.status.st_mode & stat.S_IRWXG and one not in everybody]
    figures = {"occurrences": len(everybody) + len(group)}
    if everybody or group:
        descriptions = [
            f"{one.name} ({format_mode(one.status)}) {_describe_access(one)}" for one in (*everybody, *group)
        ]
        text = f"{join_limited(descriptions, MAX_LISTED)}; run `chmod go= FILE`"
        return CheckResult("critical" if everybody else "warning", text, "other", figures)
    if hidden:
        return CheckResult("unknown", f"Permission denied on some of {', '.join(hidden)}", "denied", figures)
    files = f"{len(found)} secret files" if len(found) != 1 else "1 secret file"
    absent = f"; no file matches {', '.join(missing)}" if missing else ""
    return CheckResult("ok", f"{files} readable by the owner only{absent}", None, figures)


def _describe_access(one: MatchedFile) -> str:
    bits = one.status.st_mode
    if bits & stat.S_IRWXO:
        return "is writable by everyone" if bits & stat.S_IWOTH else "is readable by everyone"
    return f"is {'writable' if bits & stat.S_IWGRP else 'readable'} by its group"
