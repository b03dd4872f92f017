"""Uses of sudo, and attempts that it refused."""

from datetime import datetime

from services.collector.checks.base import CheckResult, Probe
from services.collector.checks.saved_state import SavedState
from services.collector.checks.security.auth_source import AuthSource, ReadPosition, read_or_result
from services.collector.checks.security.sudo_log import SudoUse, parse_uses
from services.collector.host.watched_host import WatchedHost
from shared.runtime.config.check_sections import FailedLoginsSection, SecuritySection, SudoSection
from shared.schema.records import CheckType

MAX_LISTED = 5


def create_probe(section: SecuritySection, timeout_s: float, place: WatchedHost) -> Probe:
    """Make the probe of `section.sudo`; it reads the log that `section.failed_logins` names."""
    logins = section.failed_logins or FailedLoginsSection()
    source = AuthSource(logins, place, timeout_s, SavedState(ReadPosition, "sudo", place.state), btmp=False)
    return SudoProbe(section.sudo or SudoSection(), source)


class SudoProbe:
    """Reports each use once: the run that finds it is a warning, the next one is ok."""

    type: CheckType = "sudo"

    def __init__(self, section: SudoSection, source: AuthSource) -> None:
        self._allow = frozenset(section.allow)
        self._source = source

    def run(self, now: datetime) -> CheckResult:
        """Run once; `unknown` if there is no source about sudo, or it cannot be read."""
        events = read_or_result(self._source, now, "sudo")
        if isinstance(events, CheckResult):
            return events
        if not events.where:
            return CheckResult("unknown", "No sudo log found: neither syslog nor journal", "other")
        found = [use for use in parse_uses(events.messages) if use.refusal or use.user not in self._allow]
        return evaluate_sudo_uses(found, skipped=events.skipped, where=events.where)


def evaluate_sudo_uses(found: list[SudoUse], *, skipped: bool, where: str) -> CheckResult:
    """Say who used sudo, the refused first."""
    total = sum(use.times for use in found)
    figures = {"occurrences": total}
    if not found:
        return CheckResult("ok", f"No sudo use since the last run (source: {where})", None, figures)
    ranked = sorted(found, key=lambda use: not use.refusal)
    text = "; ".join(str(use) for use in ranked[:MAX_LISTED])
    if more := total - sum(use.times for use in ranked[:MAX_LISTED]):
        text += f"; and {more} more"
    if skipped:
        text += "; log read only in part"
    return CheckResult("warning", text, "failed" if ranked[0].refusal else "other", figures)
