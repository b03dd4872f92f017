"""Acknowledge page: the page that notifications link to.

Opening the link changes nothing, because mail and chat programs open links to preview them; its button does.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import NamedTuple

import msgspec
import structlog
from flask import Blueprint, Response, make_response, render_template, request

from services.dashboard.acknowledgements import AcknowledgementService
from services.dashboard.api.queries import parse_acknowledgement
from services.dashboard.data_sources import DataSources
from shared.runtime.clock import Clock
from shared.runtime.signed_links import InvalidLinkError, LinkClaim, SignedLinks
from shared.schema.alerts import Acknowledgement, Alert, Details
from shared.schema.faults import Fault, InvalidError
from shared.schema.timestamps import to_wire
from shared.store import alerts

log = structlog.get_logger()

NAME = "acknowledgements"
_LINK_ERRORS = {
    "expired": (HTTPStatus.GONE, "This link has expired", "Acknowledge links expire after 24 hours."),
    "forged": (
        HTTPStatus.FORBIDDEN,
        "This link is not valid",
        "The link may be incomplete.",
    ),
    "else": (HTTPStatus.FORBIDDEN, "This link is not valid", "It is a link for another purpose."),
}
_MINUTE = timedelta(minutes=1)


class AcknowledgeForm(NamedTuple):
    """The fields of the page's form."""

    by: str = ""
    comment: str = ""
    timeout: str = ""
    seen: str = ""
    """When the alert was acknowledged that the person saw; blank if it was not."""

    def read(self) -> Acknowledgement:
        """Return it as the API would be sent it; InvalidError lists its faults."""
        body = {"by": self.by, "comment": self.comment, "timeout": self.timeout or None}
        return parse_acknowledgement(msgspec.json.encode(body))


def create_acknowledge_pages(
    sources: DataSources, links: SignedLinks, desk: AcknowledgementService, clock: Clock
) -> Blueprint:
    """Return the routes of the page behind acknowledge links."""
    pages = Blueprint(NAME, __name__, url_prefix="/acknowledge")

    @pages.get("/<token>")
    def ask(token: str) -> Response:
        now = clock()
        claim = links.read(token, now)
        return _acknowledge_page(find(claim), claim, now, AcknowledgeForm(by=claim.to))

    @pages.post("/<token>")
    def acknowledge(token: str) -> Response:
        now = clock()
        claim = links.read(token, now)
        form = AcknowledgeForm(**{name: request.form.get(name, "") for name in AcknowledgeForm._fields})
        try:
            given = form.read()
        except InvalidError as wrong:
            return _acknowledge_page(find(claim), claim, now, form, wrong.faults)
        alert = desk.acknowledge(claim.alert_id, given, now, lambda one: _is_unchanged(one, claim, form))
        return _acknowledge_page(alert, claim, now, form._replace(by=given.by), sent=True)

    def find(claim: LinkClaim) -> Alert | None:
        with sources.health.read() as connection:
            return alerts.alert_by_id(connection, claim.alert_id)

    @pages.errorhandler(InvalidLinkError)
    def refuse(raised: InvalidLinkError) -> Response:
        status, title, why = _LINK_ERRORS[raised.reason]
        return _message_page(status, title, why)

    @pages.after_request
    def hide(response: Response) -> Response:
        response.headers["X-Robots-Tag"] = "noindex"
        return response

    return pages


def _is_unchanged(alert: Alert, claim: LinkClaim, form: AcknowledgeForm) -> bool:
    """Return whether the alert is as the person saw it; a form that is sent twice counts once."""
    return alert.details.flaps == claim.flaps and _describe_acknowledgement(alert) in ("", form.seen)


def _describe_acknowledgement(alert: Alert) -> str:
    return to_wire(alert.acknowledged_at) if alert.acknowledged_at else ""


def _acknowledge_page(
    alert: Alert | None,
    claim: LinkClaim,
    now: datetime,
    form: AcknowledgeForm,
    faults: Sequence[Fault] = (),
    *,
    sent: bool = False,
) -> Response:
    """Return the page with the form, or with the alert's state where there is nothing to acknowledge."""
    if alert is None:
        return _message_page(
            HTTPStatus.NOT_FOUND, "Alert not found", "It was resolved and has since been deleted."
        )
    known = {"alert": alert, "facts": _alert_facts(alert, now)}
    if alert.resolved_at:
        ended = f"Resolved on {_format_time(alert.resolved_at)}. No action needed."
        return _message_page(HTTPStatus.OK, "Resolved", ended, **known)
    if alert.details.flaps != claim.flaps:
        why = "The alert was resolved and reopened. Use the link in the latest notification."
        return _message_page(HTTPStatus.GONE, "This link is out of date", why, **known)
    holder = _acknowledged_by(alert)
    if sent and alert.assignee == form.by:
        return _message_page(HTTPStatus.OK, "Acknowledged", holder, is_done=True, **known)
    if sent:
        status, title = HTTPStatus.CONFLICT, "Already acknowledged by someone else"
    else:
        status = HTTPStatus.BAD_REQUEST if faults else HTTPStatus.OK
        title = "Already acknowledged" if holder else "Not acknowledged"
    return _message_page(
        status,
        title,
        holder,
        form=form._replace(seen=_describe_acknowledgement(alert)),
        faults=faults,
        **known,
    )


def _acknowledged_by(alert: Alert) -> str:
    """Return who acknowledged the alert and when; blank if it is not acknowledged."""
    if not alert.acknowledged_at:
        return ""
    until = f" until {_format_time(alert.acknowledged_until)}" if alert.acknowledged_until else ""
    comment = f": “{alert.comment}”" if alert.comment else ""
    return f"Acknowledged by {alert.assignee} on {_format_time(alert.acknowledged_at)}{until}{comment}"


def _alert_facts(alert: Alert, now: datetime) -> list[tuple[str, str]]:
    details = alert.details
    compared = (details.measure, f"{details.value_text} (alert {details.operator} {details.limit_text})")
    lasted = _format_length((alert.resolved_at or now) - alert.timestamp)
    return [
        (_kind_of_subject(details), alert.component),
        *([compared] if details.limit_text else []),
        ("Since", f"{_format_time(alert.timestamp)} ({lasted})"),
    ]


def _kind_of_subject(details: Details) -> str:
    if details.external and not details.bot and not details.host:
        return "Component"
    return "Host" if details.host else "Bot"


def _format_time(moment: datetime) -> str:
    return _no_break(f"{moment.day} {moment:%b %H:%M} UTC")


def _format_length(span: timedelta) -> str:
    hours, minutes = divmod(max(0, span // _MINUTE), 60)
    days, hours = divmod(hours, 24)
    if days:
        return _no_break(f"{days} d {hours} h")
    return _no_break(f"{hours} h {minutes} min" if hours else f"{minutes} min")


def _no_break(words: str) -> str:
    return words.replace(" ", "\N{NO-BREAK SPACE}")


def _message_page(status: HTTPStatus, title: str, words: str, **further: object) -> Response:
    return make_response(render_template("acknowledge.html", title=title, words=words, **further), status)
