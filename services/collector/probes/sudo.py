"""Uses of sudo, and attempts that it refused."""

from datetime import datetime

from services.collector.auth_source import AuthSource, Reached, hear
from services.collector.place import Place
from services.collector.probe import Look, Probe
from services.collector.state import State
from services.collector.sudo_log import Use, uses
from shared.runtime.checks import FailedLoginsSection, SecuritySection, SudoSection
from shared.schema.records import CheckType

MOST_TOLD = 5


def probe(section: SecuritySection, timeout_s: float, place: Place) -> Probe:
    """Make the probe of `section.sudo`; it reads the log that `section.failed_logins` names."""
    if section.sudo is None:
        raise TypeError("not a check of sudo")
    logins = section.failed_logins or FailedLoginsSection()
    source = AuthSource(logins, place, timeout_s, State(Reached, "sudo", place.state), btmp=False)
    return SudoProbe(section.sudo, source)


class SudoProbe:
    """Tells each use once: the look that sees it is a warning, the next is well again."""

    type: CheckType = "sudo"

    def __init__(self, section: SudoSection, source: AuthSource) -> None:
        self._allow = frozenset(section.allow)
        self._source = source

    def look(self, now: datetime) -> Look:
        """Look once; `unknown` when nothing tells of sudo, or it may not be read."""
        news = hear(self._source, now, "sudo")
        if isinstance(news, Look):
            return news
        if not news.where:
            return Look(
                "unknown", "nothing tells of sudo: neither a log of syslog nor a journal is here", "other"
            )
        found = [use for use in uses(news.messages) if use.refusal or use.user not in self._allow]
        return judge(found, skipped=news.skipped, where=news.where)


def judge(found: list[Use], *, skipped: bool, where: str) -> Look:
    """Say who used sudo, the refused first."""
    total = sum(use.times for use in found)
    figures = {"occurrences": total}
    if not found:
        return Look("ok", f"nobody used sudo since the last look, by {where}", None, figures)
    ranked = sorted(found, key=lambda use: not use.refusal)
    text = "; ".join(str(use) for use in ranked[:MOST_TOLD])
    if more := total - sum(use.times for use in ranked[:MOST_TOLD]):
        text += f"; and {more} more"
    if skipped:
        text += "; there was more in the log than is read at once"
    return Look("warning", text, "failed" if ranked[0].refusal else "other", figures)
