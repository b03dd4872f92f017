"""Finding: one result of a diagnostic, and how to fix it. Pure."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from shared.schema.terminal_escaping import escape_controls

Status = Literal["ok", "warning", "critical"]
EXIT_CODES: dict[Status, int] = {"ok": 0, "warning": 1, "critical": 2}


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one diagnostic found about one thing."""

    status: Status
    what: str
    """One sentence: the subject, what is so, the value, the limit."""
    value: str | int | float | None = None
    """The measured value, for a machine."""
    fix: str = ""
    """A command, or one instruction; empty if nothing is wrong."""
    diagnostic: str = ""
    """The name of the diagnostic."""


def ok(what: str, value: str | float | None = None) -> Finding:
    """Return a finding that nothing is wrong."""
    return Finding("ok", what, value)


def warning(what: str, fix: str, value: str | float | None = None) -> Finding:
    """Return a finding that Botwatch runs, but not as it should."""
    return Finding("warning", what, value, fix)


def critical(what: str, fix: str, value: str | float | None = None) -> Finding:
    """Return a finding that keeps Botwatch from starting, or from doing its work."""
    return Finding("critical", what, value, fix)


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 0, 1 or 2: the worst status."""
    return max((EXIT_CODES[finding.status] for finding in findings), default=0)


def lines(findings: Iterable[Finding]) -> list[str]:
    """Return the findings for a terminal, the fix below each."""
    found = []
    for finding in findings:
        found.append(f"{finding.status:<9}{finding.diagnostic:<14} {escape_controls(finding.what)}")
        if finding.fix:
            found.append(f"{'':<24}→ {escape_controls(finding.fix)}")
    return found


def summary(findings: Iterable[Finding]) -> str:
    """Return one sentence with the number of findings by status."""
    statuses = [finding.status for finding in findings]
    count = statuses.count
    return f"{len(statuses)} checks: {count('critical')} critical, {count('warning')} warnings"
