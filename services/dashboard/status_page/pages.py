"""The routes for others: the status page, the same as JSON, and badges. None of them needs a script."""

import gzip
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import groupby
from math import floor
from typing import NamedTuple

import msgspec
import structlog
from flask import Blueprint, Response, abort, make_response, render_template, request
from sqlalchemy.exc import DatabaseError

from services.dashboard.config import DashboardSettings
from services.dashboard.data_sources import DataSources
from services.dashboard.status_page.badges import Badge, badge_parts, bot_badge, overall_badge, unknown_badge
from services.dashboard.status_page.public_status import TINY, PublicCheck, PublicStatus
from services.dashboard.status_page.status_reader import MAX_AGE, StatusReader
from services.dashboard.timed_cache import TimedCache
from shared.runtime.clock import Clock
from shared.runtime.web.app import json_error
from shared.schema.formatting import format_value
from shared.schema.units import MONEY

log = structlog.get_logger()

REFRESH_S = 60
"""How often the page loads itself again."""
BADGE_MAX_AGE_S = 60
"""How long proxies such as GitHub's may keep a badge."""
DAY_WIDTH = 5
"""Of a day in the history, in units of the drawing; one of them is the gap."""
MINOR = 99.0
"""Percent of a day; a day on which a check was up for less is shown as a major outage."""
TONES = {
    "HEALTHY": "good", "WARNING": "medium", "CRITICAL": "critical", "UNKNOWN": "none",
    "ok": "good", "warning": "medium", "critical": "critical", "unknown": "none", "silent": "high",
    "alert": "medium", "HIGH": "high", "MEDIUM": "medium", "LOW": "low",
}  # fmt: skip
"""Status, state or severity → tone of the style sheet."""


POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""No script, and no address of the WebSocket, which other pages have here."""


class DayRun(NamedTuple):
    """Days in a row with the same tone."""

    tone: str
    start: int
    end: int
    title: str


def create_status_pages(settings: DashboardSettings, sources: DataSources, clock: Clock) -> Blueprint:
    """Return the routes. Raises InvalidError for settings that are wrong."""
    blueprint = Blueprint("status_page", __name__)
    pages = _StatusPages(settings, sources, clock)
    blueprint.get("/status")(pages.page)
    blueprint.get("/status.json")(pages.data)
    blueprint.get("/badge/status.svg")(pages.badge)
    blueprint.get("/badge/bots/<path:bot>.svg")(pages.badge_of_bot)
    blueprint.register_error_handler(DatabaseError, _not_known)
    blueprint.after_request(_restrict)
    return blueprint


class _StatusPages:
    """The routes' functions."""

    def __init__(self, settings: DashboardSettings, sources: DataSources, clock: Clock) -> None:
        self._reader = StatusReader(settings, sources, clock)
        self._rendered: TimedCache[bytes] = TimedCache(MAX_AGE, clock, most=16)
        self._is_on = settings.status_page == "on"
        self._has_public_badges = self._is_on or settings.access == "open"

    def page(self) -> Response:
        refreshes = request.args.get("refresh") != "off"
        key = f"page {request.script_root} {refreshes}"
        return self._answer(key, lambda status: _render(status, refreshes), "text/html; charset=utf-8")

    def data(self) -> Response:
        return self._answer("data", msgspec.json.encode, "application/json")

    def badge(self) -> Response:
        return self._badge(overall_badge(self._reader.read()))

    def badge_of_bot(self, bot: str) -> Response:
        found = next((one for one in self._reader.read().bots if one.name == bot), None)
        if found is None:
            return self._badge(unknown_badge(bot), HTTPStatus.NOT_FOUND)
        return self._badge(bot_badge(found))

    def _answer(self, key: str, render: Callable[[PublicStatus], bytes], content_type: str) -> Response:
        if not self._is_on:
            abort(HTTPStatus.NOT_FOUND)
        status = self._reader.read()
        body = self._rendered.get((key, status.timestamp), lambda: render(status))
        response = Response(body, content_type=content_type)
        response.vary.add("Accept-Encoding")
        if request.accept_encodings["gzip"]:  # once for all: there is no secret in it, unlike in other pages
            packed = (key, status.timestamp, "gzip")
            response.data = self._rendered.get(packed, lambda: gzip.compress(body, mtime=0))
            response.headers["Content-Encoding"] = "gzip"
        return _cacheable(response, int(MAX_AGE.total_seconds()), is_public=True)

    def _badge(self, badge: Badge, status: HTTPStatus = HTTPStatus.OK) -> Response:
        parts = badge_parts(badge)
        width = parts[-1].left + parts[-1].width
        svg = render_template("badge.svg", title=badge.title, parts=parts, width=width)
        response = make_response(svg, status)
        response.content_type = "image/svg+xml; charset=utf-8"
        return _cacheable(response, BADGE_MAX_AGE_S, is_public=self._has_public_badges)


def _not_known(raised: DatabaseError) -> Response:
    log.error("status not known: the database is not responding", error=str(raised.orig))
    return json_error(HTTPStatus.SERVICE_UNAVAILABLE, "the status is not known now; retry later")


def _restrict(response: Response) -> Response:
    """Keep a response out of search engines, and from everything that the other pages may do."""
    response.headers["X-Robots-Tag"] = "noindex"
    response.headers["Content-Security-Policy"] = POLICY
    return response


def _cacheable(response: Response, max_age_s: int, *, is_public: bool) -> Response:
    response.headers["Cache-Control"] = f"{'public' if is_public else 'private'}, max-age={max_age_s}"
    return response


def _render(status: PublicStatus, refreshes: bool) -> bytes:
    return render_template(
        "status.html",
        title=status.title,
        status=status,
        refresh=REFRESH_S if refreshes else None,
        tones=TONES,
        runs={check.name: list(_day_runs(check, status)) for check in status.checks},
        width=DAY_WIDTH,
        days=len,
        describe_time=_describe_time,
        format_share=_format_share,
        format_money=_format_money,
        is_now=lambda planned: planned.start <= status.timestamp,
    ).encode()


def _day_runs(check: PublicCheck, status: PublicStatus) -> Iterator[DayRun]:
    """Yield the days of a check, those in a row with the same tone as one: the page stays small."""
    start = 0
    for tone, days in groupby(check.days, _day_tone):
        known = list(days)
        first = status.history_from + timedelta(days=start)
        last = first + timedelta(days=len(known) - 1)
        dates = f"{first}" if first == last else f"{first} to {last}"
        yield DayRun(tone, start, start + len(known), f"{dates}: {_describe_days(known)}")
        start += len(known)


def _day_tone(availability: float | None) -> str:
    if availability is None:
        return "none"
    if availability >= 100:  # noqa: PLR2004 - percent
        return "good"
    return "medium" if availability >= MINOR else "critical"


def _describe_days(days: Sequence[float | None]) -> str:
    known = [day for day in days if day is not None]
    return f"up {_format_share(sum(known) / len(known))}" if known else "no data"


def _format_share(percent: float | None) -> str:
    """Return a share of time, rounded down: what was down for a moment is not up 100%."""
    if percent is None:
        return "no data"
    return f"{floor(percent * 100 + TINY) / 100:.2f}%".replace("100.00", "100")


def _format_money(value: float | None) -> str:
    return "undefined" if value is None else format_value(value, MONEY)


def _describe_time(moment: datetime) -> str:
    at = moment.astimezone(UTC)
    return f"{at.day} {at:%b %H:%M} UTC".replace(" ", "\N{NO-BREAK SPACE}")
