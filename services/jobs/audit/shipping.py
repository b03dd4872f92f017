"""Audit shipping job: sends new audit entries to syslog and to a webhook, each from its own position.

At least once, in order: the position moves after the receiver has taken a batch. While a receiver is away
entries wait in the database, the job fails, and the alert `botwatch-job-failing` opens.
"""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from services.jobs.context import JobContext
from services.jobs.syslog import SyslogSender, format_syslog
from shared.runtime.http.client import HttpClient
from shared.runtime.http.dial import NetworkError
from shared.runtime.http.responses import format_status
from shared.runtime.http.signature import SIGNATURE, sign
from shared.schema.timestamps import from_store
from shared.store.audit import AuditFilter, list_audit_after, wire_entry
from shared.store.audit_chain import AuditRow
from shared.store.tables import audit_shipping

BATCH = 100
CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 10.0
Send = Callable[[Sequence[AuditRow]], None]


class ShippingError(Exception):
    """A receiver has not taken the entries; the message has no secrets."""


class Receiver(NamedTuple):
    """Where entries are sent."""

    name: str
    """Its name in `audit_shipping`."""
    send: Send


def ship_audit(context: JobContext) -> Mapping[str, int]:
    """Send what each configured receiver does not have yet; return the numbers of entries by receiver.

    One that fails does not keep the others from theirs. Raises ShippingError.
    """
    sent, errors = {}, []
    for receiver in receivers(context):
        try:
            sent[receiver.name] = _ship(context, receiver)
        except (NetworkError, OSError) as error:
            errors.append(f"{receiver.name}: {error}")
        except ShippingError as error:
            errors.append(str(error))
    if errors:
        raise ShippingError("; ".join(errors))
    return sent


def receivers(context: JobContext) -> list[Receiver]:
    """Return the configured receivers."""
    found, settings = [], context.settings
    if url := settings.audit_syslog:
        found.append(Receiver("syslog", lambda rows: _send_to_syslog(url, rows)))
    if settings.audit_webhook_url:
        found.append(Receiver("webhook", _poster(context)))
    return found


def _ship(context: JobContext, receiver: Receiver) -> int:
    with context.health.read() as connection:
        position = _position(connection, receiver.name)
    count = 0
    while True:
        with context.health.read() as connection:
            rows = list_audit_after(connection, AuditFilter(), position, BATCH)
        if not rows:
            return count
        receiver.send(rows)
        position, count = rows[-1].id, count + len(rows)
        with context.health.write() as connection:
            _set_position(connection, receiver.name, position)


def _position(connection: Connection, receiver: str) -> int:
    statement = select(audit_shipping.c.entryId).where(audit_shipping.c.receiver == receiver)
    return connection.scalar(statement) or 0


def _set_position(connection: Connection, receiver: str, entry: int) -> None:
    statement = insert(audit_shipping).values(receiver=receiver, entryId=entry)
    connection.execute(statement.on_conflict_do_update(index_elements=["receiver"], set_={"entryId": entry}))


def _send_to_syslog(url: str, rows: Sequence[AuditRow]) -> None:
    with SyslogSender(url) as sender:
        sender.send(format_syslog(from_store(row.timestamp), row.action, _line(row)) for row in rows)


def _line(row: AuditRow) -> bytes:
    return msgspec.json.encode(wire_entry(row))


def _poster(context: JobContext) -> Send:
    settings = context.settings
    client = HttpClient(
        settings.audit_webhook_url,
        connect_timeout_s=CONNECT_TIMEOUT_S,
        read_timeout_s=READ_TIMEOUT_S,
        headers={"Content-Type": "application/json"},
    )

    def post(rows: Sequence[AuditRow]) -> None:
        body = msgspec.json.encode({"entries": list(map(wire_entry, rows))})
        headers = {"Idempotency-Key": f"audit-{rows[0].id}-{rows[-1].id}"}
        if secret := settings.audit_webhook_secret:
            headers[SIGNATURE] = sign(body, secret, context.now())
        reply = client.request("POST", body, headers)
        if not HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
            raise ShippingError(f"webhook: receiver returned {format_status(reply.status)}")

    return post
