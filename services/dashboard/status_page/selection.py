"""Selection: which bots and checks the status page shows, and whether it shows money. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from services.dashboard.config import DashboardSettings
from shared.schema.faults import Fault, InvalidError
from shared.schema.muting import MaintenanceWindow
from shared.schema.patterns import Patterns, glob_matches, match_labels
from shared.schema.records import EVENT_CHECKS, CheckType

_BOT_LABELS = ("bot", "component")
_INNER_LABELS = ("host", "check")
"""Labels of alerts that name what is inside; a window that matches one of these is not shown."""


class Selection(NamedTuple):
    """What is shown. A bot must match one of `bots` and all of `labels`, a check one of `checks`."""

    bots: tuple[str, ...] = ("*",)
    labels: Patterns = ()
    checks: tuple[str, ...] = ("*",)
    money: bool = False

    @classmethod
    def from_settings(cls, settings: DashboardSettings) -> "Selection":
        """Return what the settings choose. Raises InvalidError for a label without a value."""
        labels, faults = [], []
        for entry in _entries(settings.status_page_labels):
            name, equals, value = (part.strip() for part in entry.partition("="))
            if not name or not equals:
                expected = "expected labels such as `venue=kraken`, separated by commas"
                faults.append(Fault("STATUS_PAGE_LABELS", f"{expected}, got {entry!r}"))
            labels.append((name, (value,)))
        if faults:
            raise InvalidError(faults)
        return cls(
            _entries(settings.status_page_bots),
            tuple(labels),
            _entries(settings.status_page_checks),
            settings.status_page_money == "on",
        )

    def shows_bot(self, bot: str, labels: Mapping[str, str]) -> bool:
        """Return whether a bot with these labels is shown."""
        return _matches_any(self.bots, bot) and match_labels(self.labels, labels)

    def shows_check(self, check: str, kind: CheckType | None) -> bool:
        """Return whether a check is shown; those of security never are, nor one of an unknown kind."""
        return kind is not None and kind not in EVENT_CHECKS and _matches_any(self.checks, check)

    def shows_window(self, window: MaintenanceWindow, bots: Iterable[str]) -> bool:
        """Return whether a maintenance window is shown: it is about all, or about bots that are shown."""
        named = [patterns for label, patterns in window.match if label in _BOT_LABELS]
        if any(label in _INNER_LABELS for label, _ in window.match):
            return False
        return all(any(_matches_any(patterns, bot) for bot in bots) for patterns in named)


def _entries(text: str) -> tuple[str, ...]:
    return tuple(entry.strip() for entry in text.split(",") if entry.strip())


def _matches_any(patterns: Iterable[str], name: str) -> bool:
    return any(glob_matches(pattern, name) for pattern in patterns)
