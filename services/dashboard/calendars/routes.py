"""The routes of the calendars, for programs that send nothing but an address."""

from datetime import timedelta

from flask import Blueprint, Response, request

from services.dashboard.api.parameters import QueryParameters
from services.dashboard.calendars.feeds import FeedSource, maintenance_feed, on_call_feed
from services.dashboard.config import DashboardSettings
from services.dashboard.data_sources import DataSources
from services.dashboard.timed_cache import TimedCache
from shared.access.identity import ForbiddenError, Identity
from shared.access.refusals import forbidden
from shared.runtime import clock as system_clock
from shared.runtime.clock import Clock
from shared.runtime.config.mute_config import parse_mute_config
from shared.runtime.config.recipients import Recipients
from shared.runtime.web.request_access import RequestAccess
from shared.schema.timestamps import epoch_ms

MAX_AGE = timedelta(minutes=1)
"""How old a feed may be: it is asked for once in some hours, and a short rotation has thousands of shifts."""
CLIENT_MAX_AGE_S = 300
ENDPOINT = "calendars."


def create_calendars(settings: DashboardSettings, sources: DataSources, clock: Clock) -> Blueprint:
    """Return the routes of the feeds."""
    calendars = Blueprint("calendars", __name__, url_prefix="/calendar")
    feeds: TimedCache[bytes] = TimedCache(MAX_AGE, clock)
    page_url = settings.dashboard_url.rstrip("/")

    @calendars.get("/on-call.ics")
    def on_call() -> Response:
        read, loaded = QueryParameters(request.args, ("person", "token")), sources.loaded
        person = read.text("person")
        read.check()
        rotations = Recipients.from_documents(loaded.documents).rotations
        source = FeedSource(page_url, loaded.changed_at)
        key = ("on-call", person, epoch_ms(loaded.changed_at))
        return _feed(feeds.get(key, lambda: on_call_feed(rotations, source, clock(), person)))

    @calendars.get("/maintenance.ics")
    def maintenance() -> Response:
        read, loaded = QueryParameters(request.args, ("token",)), sources.loaded
        read.check()
        windows = parse_mute_config(loaded.documents).windows
        source = FeedSource(page_url, loaded.changed_at)
        key = ("maintenance", epoch_ms(loaded.changed_at))
        return _feed(feeds.get(key, lambda: maintenance_feed(windows, source, clock())))

    return calendars


def accept_calendar_tokens(access: RequestAccess) -> None:
    """Let the requests for calendars be identified by a token in their address, which may do nothing else."""

    def identify() -> Identity | None:
        token = request.args.get("token")
        if not token or not (request.endpoint or "").startswith(ENDPOINT):
            return None
        address = request.remote_addr or ""
        identity = access.authenticator.identify(token, address, system_clock.now())
        if identity.scopes != {"calendar"}:
            text = f"{identity.name} must not be in an address: use a token with only the scope calendar"
            refusal = forbidden(ForbiddenError(text, "scope"))
            raise access.authenticator.denied(refusal, address, identity.name)
        return identity

    access.further.append(identify)


def _feed(body: bytes) -> Response:
    response = Response(body, content_type="text/calendar; charset=utf-8")
    response.headers["Cache-Control"] = f"private, max-age={CLIENT_MAX_AGE_S}"
    return response
