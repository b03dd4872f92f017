"""What the live dashboard shows, and what its keys do. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from botwatch.cli.top.keys import BACKSPACE, DOWN, END, ENTER, ESCAPE, HOME, PAGE_DOWN, PAGE_UP, TAB, UP
from botwatch.typed_json import Document

Pane = Literal["alerts", "bots"]
PAGE = 10
_MOVES = {"k": -1, UP: -1, "j": 1, DOWN: 1, PAGE_UP: -PAGE, PAGE_DOWN: PAGE, HOME: -(10**9), END: 10**9}


class Snapshot(NamedTuple):
    """Answers of the API of one moment."""

    summary: Document
    bots: Sequence[Document] = ()
    alerts: Sequence[Document] = ()
    """The open ones."""
    hosts: Mapping[str, Document] = {}
    checks: Mapping[str, Mapping[str, Document]] = {}
    events: Sequence[Document] = ()
    """`timestamp`, `severity` (or empty) and `text`, the newest first."""


class Acknowledge(NamedTuple):
    """The alert is to be acknowledged."""

    alert_id: str
    by: str
    comment: str


class Open(NamedTuple):
    """Details are to be fetched."""

    pane: Pane
    key: str


class Quit(NamedTuple):
    """The dashboard is to end."""


Action = Acknowledge | Open | Quit


class Sort(NamedTuple):
    """An order of the bots."""

    title: str
    key: Callable[[Document], Any]
    is_descending: bool = True


def _number(name: str, missing: float) -> Callable[[Document], float]:
    return lambda bot: missing if bot.get(name) is None else float(bot[name])


SORTS = (
    Sort("name", lambda bot: str(bot["bot"]), is_descending=False),
    Sort("open alerts", _number("activeAlerts", 0)),
    Sort("day", _number("dayReturn", float("inf")), is_descending=False),
    Sort("drawdown", _number("currentDrawdown", float("-inf"))),
    Sort("value", _number("portfolioValue", float("-inf"))),
    Sort("last seen", _number("ageSeconds", float("inf"))),
)
"""The worst first, but for the name."""


@dataclass
class Prompt:
    """A line of text that is being typed."""

    purpose: Literal["filter", "by", "comment"]
    title: str
    text: str = ""


@dataclass
class Model:
    """The state of the dashboard."""

    snapshot: Snapshot
    user: str
    """Who acknowledges, unless another name is typed."""
    error: str = ""
    """Why the latest answer is missing; the snapshot is the last one then."""
    focus: Pane = "alerts"
    selected: dict[Pane, str] = field(default_factory=dict)
    """The key of the selected row: it stays selected when rows move."""
    filter: str = ""
    sort: int = 0
    prompt: Prompt | None = None
    opened: Open | None = None
    detail: Sequence[str] | None = None
    """Lines of what is opened; None while they are fetched."""
    scrolled: int = 0
    is_help: bool = False
    message: str = ""
    _acknowledging: tuple[str, str] = ("", "")

    def bots(self) -> list[Document]:
        """Return the bots that match the filter, sorted."""
        order = SORTS[self.sort]
        found = [
            one for one in self.snapshot.bots if self._matches(one["bot"], *one.get("labels", {}).values())
        ]
        return sorted(sorted(found, key=SORTS[0].key), key=order.key, reverse=order.is_descending)

    def alerts(self) -> list[Document]:
        """Return the open alerts that match the filter, the most severe first, then the newest."""
        found = [
            one
            for one in self.snapshot.alerts
            if self._matches(one["component"], one["message"], one["severity"], one["status"])
        ]
        severities = ("CRITICAL", "HIGH", "MEDIUM", "LOW")
        newest = sorted(found, key=lambda one: str(one["timestamp"]), reverse=True)
        return sorted(newest, key=lambda one: (_is_handled(one), severities.index(one["severity"])))

    def keys(self, pane: Pane) -> list[str]:
        """Return what identifies the rows of a pane."""
        if pane == "bots":
            return [str(one["bot"]) for one in self.bots()]
        return [str(one["id"]) for one in self.alerts()]

    def position(self, pane: Pane) -> int:
        """Return the index of the selected row; the first if it is gone."""
        keys, chosen = self.keys(pane), self.selected.get(pane)
        return keys.index(chosen) if chosen in keys else 0

    def press(self, key: str) -> Action | None:
        """Change by a key that is pressed; return what is to be done."""
        self.message = ""
        if self.prompt:
            return self._type(self.prompt, key)
        if key == "q" and not self.opened and not self.is_help:
            return Quit()
        if self.is_help:
            self.is_help = False
        elif self.opened and key in (ESCAPE, ENTER, "q", BACKSPACE):
            self.opened, self.detail = None, None
        elif key == "?":
            self.is_help = True
        elif key in _MOVES:
            self._move(_MOVES[key])
        elif key == "a":
            self._begin_acknowledging()
        elif not self.opened:
            return self._press_in_list(key)
        return None

    def _press_in_list(self, key: str) -> Action | None:
        keys = self.keys(self.focus)
        if key == ENTER and keys:
            self.opened, self.detail, self.scrolled = (
                Open(self.focus, keys[self.position(self.focus)]),
                None,
                0,
            )
            return self.opened
        if key == TAB:
            self.focus = "bots" if self.focus == "alerts" else "alerts"
        elif key == "s":
            self.sort = (self.sort + 1) % len(SORTS)
        elif key == "/":
            self.prompt = Prompt("filter", "Filter: ", self.filter)
        elif key == ESCAPE:
            self.filter = ""
        return None

    def _move(self, rows: int) -> None:
        if self.opened:
            last = max(0, len(self.detail or ()) - 1)
            self.scrolled = min(max(0, self.scrolled + rows), last)
        elif keys := self.keys(self.focus):
            self.selected[self.focus] = keys[min(max(0, self.position(self.focus) + rows), len(keys) - 1)]

    def _begin_acknowledging(self) -> None:
        is_bot = self.opened.pane == "bots" if self.opened else self.focus == "bots"
        alerts = {str(one["id"]): one for one in self.alerts()}
        if is_bot or not alerts:
            self.message = (
                "No alert is selected." if not alerts else "Select an alert first: tab goes to them."
            )
            return
        chosen = self.opened.key if self.opened else self.keys("alerts")[self.position("alerts")]
        if chosen not in alerts:
            self.message = "The alert is resolved already."
            return
        self._acknowledging = (chosen, "")
        self.prompt = Prompt("by", f"Acknowledge {alerts[chosen]['component']} as: ", self.user)

    def _type(self, prompt: Prompt, key: str) -> Action | None:
        if key == ESCAPE:
            self.prompt = None
        elif key == ENTER:
            return self._enter(prompt)
        elif key == BACKSPACE:
            prompt.text = prompt.text[:-1]
        elif len(key) == 1:
            prompt.text += key
        if prompt.purpose == "filter":
            self.filter = prompt.text
        return None

    def _enter(self, prompt: Prompt) -> Action | None:
        self.prompt = None
        alert_id, by = self._acknowledging
        match prompt.purpose:
            case "by" if prompt.text.strip():
                self._acknowledging = (alert_id, prompt.text.strip())
                self.prompt = Prompt("comment", f"Comment of {prompt.text.strip()} (may be empty): ")
            case "by":
                self.message = "Not acknowledged: a name is needed."
            case "comment":
                return Acknowledge(alert_id, by, prompt.text.strip())
        return None

    def _matches(self, *texts: str) -> bool:
        words = self.filter.lower().split()
        return all(any(word in text.lower() for text in texts) for word in words)


def _is_handled(alert: Document) -> bool:
    return alert["status"] != "ACTIVE" or bool(alert["details"].get("mutedBy"))
