"""Fetches what the live dashboard shows, in a thread of its own: keys never wait for the network."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote

from botwatch.cli.acting import act, user_name
from botwatch.cli.api_command import Api
from botwatch.cli.top.model import Acknowledge, Open, Snapshot
from botwatch.errors import BotwatchError
from botwatch.typed_json import Document

API = "/api/monitoring"
INTERVAL_S = 2.0
EVENTS = 30
NEW_EVENTS = 5
"""Events of bots that are fetched at a time, at most."""
OPEN_ALERTS = 500


class Failure(NamedTuple):
    """An answer is missing."""

    reason: str


class Refused(NamedTuple):
    """What was wanted is not done."""

    wanted: Acknowledge | Open
    reason: str


class Acknowledged(NamedTuple):
    """An alert is acknowledged."""

    alert: Document


class Detail(NamedTuple):
    """What is opened, as the API says it."""

    opened: Open
    answer: Document


Result = Snapshot | Failure | Refused | Acknowledged | Detail


class Poller:
    """Puts what it fetched into `results`, and calls `wake` then."""

    def __init__(self, api: Api, wake: Callable[[], None]) -> None:
        self.results: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self._api = api
        self._wake = wake
        self._wanted: queue.SimpleQueue[Acknowledge | Open | None] = queue.SimpleQueue()
        self._events: dict[tuple[str, str], Document] = {}
        """By bot and time."""

    def start(self) -> None:
        """Fetch every `INTERVAL_S` until the process ends."""
        threading.Thread(target=self._run, name="poller", daemon=True).start()

    def do(self, wanted: Acknowledge | Open) -> None:
        """Have an alert acknowledged, or details fetched, now."""
        self._wanted.put(wanted)

    def fetch(self) -> Snapshot:
        """Return how everything is; BotwatchError if the API does not answer."""
        get = self._api.get
        bots = get(f"{API}/bots", list[Document])
        return Snapshot(
            summary=get(f"{API}/summary", Document),
            bots=bots,
            alerts=get(f"{API}/alerts?status=ACTIVE,ACKNOWLEDGED&limit={OPEN_ALERTS}", list[Document]),
            hosts=get(f"{API}/health", dict[str, Document]),
            checks=get(f"{API}/checks", dict[str, dict[str, Document]]),
            events=self._recent(bots, get(f"{API}/alerts?limit=20", list[Document])),
        )

    def _run(self) -> None:
        while True:
            try:
                wanted = self._wanted.get(timeout=INTERVAL_S)
            except queue.Empty:
                wanted = None
            for result in self._results_of(wanted):
                self.results.put(result)
                self._wake()

    def _results_of(self, wanted: Acknowledge | Open | None) -> Iterator[Result]:
        if wanted:
            try:
                yield self._do(wanted)
            except BotwatchError as error:
                yield Refused(wanted, str(error))
        if not isinstance(wanted, Open):
            try:
                yield self.fetch()
            except BotwatchError as error:
                yield Failure(str(error))

    def _do(self, wanted: Acknowledge | Open) -> Result:
        if isinstance(wanted, Acknowledge):
            return Acknowledged(self._acknowledge(wanted))
        return Detail(wanted, self._api.get(_path(wanted), Document))

    def _acknowledge(self, wanted: Acknowledge) -> Document:
        path = f"{API}/alerts/{quote(wanted.alert_id, safe='')}/acknowledge"
        comment = {"comment": wanted.comment} if wanted.comment else {}
        # The name that was offered, and not typed, gives way to the token's.
        typed = "" if wanted.by == user_name() else wanted.by
        return act(lambda by: self._api.post(path, comment | ({"by": by} if by else {}), Document), typed)

    def _recent(self, bots: Sequence[Document], alerts: Sequence[Document]) -> list[Document]:
        """Return what happened to alerts, and the last event of each bot, the newest first."""
        newest = sorted(
            ((str(one["bot"]), str(one["kinds"]["event"])) for one in bots if "event" in one["kinds"]),
            key=lambda one: one[1],
            reverse=True,
        )[:EVENTS]
        for bot, at in [one for one in newest if one not in self._events][:NEW_EVENTS]:
            performance = self._api.get(f"{API}/bots/{quote(bot, safe='')}", Document)["performance"]
            self._events[bot, at] = performance.get("lastEvent") or {}
        self._events = {key: event for key, event in self._events.items() if key in newest}
        happened = [_event(key, event) for key, event in self._events.items() if event]
        happened += [one for alert in alerts for one in _changes(alert)]
        return sorted(happened, key=lambda one: str(one["timestamp"]), reverse=True)[:EVENTS]


def _event(key: tuple[str, str], event: Document) -> Document:
    severity = {"error": "HIGH", "warning": "WARNING"}.get(event["level"], "")
    return {"timestamp": key[1], "severity": severity, "text": f"{key[0]}: {event['title']}"}


def _changes(alert: Document) -> Iterator[Document]:
    """Yield when an alert opened, was acknowledged, and was resolved."""
    about = f"{alert['component']}: {alert['message']}"
    yield {"timestamp": alert["timestamp"], "severity": alert["severity"], "text": f"opened: {about}"}
    if alert.get("acknowledgedAt"):
        text = f"acknowledged by {alert.get('assignee')}: {about}"
        yield {"timestamp": alert["acknowledgedAt"], "severity": "ACKNOWLEDGED", "text": text}
    if alert.get("resolvedAt"):
        yield {"timestamp": alert["resolvedAt"], "severity": "RESOLVED", "text": f"resolved: {about}"}


def _path(opened: Open) -> str:
    return f"{API}/{opened.pane}/{quote(opened.key, safe='')}"
