"""Channels over HTTP: their state, the history of their deliveries, and a test message through one."""

import threading
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import get_args

import msgspec
from flask import Blueprint, Response, request

from services.dashboard.api.parameters import MAX_LIMIT, Limit, Moment, Name, QueryParameters
from services.dashboard.api.queries import DEFAULT_LIMIT
from services.dashboard.channel_list import Channels, configured_channels, read_channels
from services.dashboard.data_sources import DataSources
from services.dashboard.request_audit import RequestAudit
from shared.runtime.clock import Clock
from shared.runtime.redis.channel_tests import request_channel_test
from shared.runtime.web.app import json_error, json_response
from shared.runtime.web.csv import csv_response
from shared.runtime.web.openapi import Parameter, describe
from shared.runtime.web.pagination import encode_cursor, link_next
from shared.schema.alerts import Change
from shared.schema.faults import did_you_mean
from shared.store.audit import Outcome
from shared.store.delivery_history import (
    ChannelDelivery,
    DeliveryFilter,
    DeliveryState,
    has_deliveries,
    list_deliveries,
)

TEST_TIMEOUT_S = 20.0
"""How long a test may take; a receiver may take 10 s to answer."""
MAX_TESTS = 2
"""Tests at a time in one worker: each holds one of its threads."""
NOTIFIER_HELP = "its log and `botwatch doctor`"
CSV_BATCH = 500


class ChannelTestAnswer(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """How a test went: what the receiver answered, or why the message was not delivered."""

    channel: str
    delivered: bool
    destination: str | None
    response: str | None
    error: str | None
    reason: str | None
    """`refused`, `unreachable`, `timeout`, `busy`, `failing`, `unexpected`."""


def add_channels(api: Blueprint, sources: DataSources, audit: RequestAudit, clock: Clock) -> None:
    """Add the routes below `/channels`."""

    @api.get("/channels")
    @describe("List the channels", tag="Notifications", answers=Channels)
    def channels() -> Response:
        return json_response(read_channels(sources, clock()))

    @api.get("/channels/<name>/deliveries")
    @describe(
        "List the deliveries of a channel",
        tag="Notifications",
        answers=list[ChannelDelivery],
        query=(
            Parameter("state", DeliveryState, "Only those in this state."),
            Parameter("change", Change, "Only those about this change of an alert."),
            Parameter("alert", Name, "Only those about the alert with this ID."),
            Parameter("since", Moment, "Only those written at this time or later."),
            Parameter("until", Moment, "Only those written before this time."),
            Parameter("limit", Limit, f"Default: {DEFAULT_LIMIT}."),
            Parameter("cursor", Name, "The page: from the header `Link` of the page before."),
        ),
        errors=(HTTPStatus.NOT_FOUND,),
        csv=True,
        description="The newest first. The header `Link` has the next page; CSV has all rows.",
    )
    def deliveries(name: str) -> Response:
        return _answer_deliveries(sources, name, request.args)

    _add_test(api, sources, audit, clock)


def _add_test(api: Blueprint, sources: DataSources, audit: RequestAudit, clock: Clock) -> None:
    free = threading.BoundedSemaphore(MAX_TESTS)

    @api.post("/channels/<name>/test")
    @describe(
        "Send a test message through a channel",
        tag="Notifications",
        answers=ChannelTestAnswer,
        errors=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.GATEWAY_TIMEOUT),
        description="The running notifier sends it, with its own configuration and secrets.",
    )
    def test(name: str) -> Response:
        if refusal := _untestable(read_channels(sources, clock()), name):
            return refusal
        if not free.acquire(blocking=False):
            return _retry_later("other channel tests are in progress; retry", 5)
        try:
            result = request_channel_test(sources.redis, name, TEST_TIMEOUT_S)
        finally:
            free.release()
        with sources.health.write() as connection:
            outcome: Outcome = "failed" if result.code else "ok"
            audit.append(connection, clock(), "notify.test", name, outcome=outcome)
        if not result.is_answered:
            return json_error(HTTPStatus.GATEWAY_TIMEOUT, f"{result.error}; see {NOTIFIER_HELP}")
        return json_response(
            ChannelTestAnswer(
                channel=name,
                delivered=not result.code,
                destination=result.destination or None,
                response=result.response or None,
                error=result.error or None,
                reason=result.reason or None,
            )
        )


def _untestable(found: Channels, name: str) -> Response | None:
    """Return why no test can be sent through a channel; None if one can be."""
    channel = next((each for each in found.channels if each.name == name), None)
    if channel is None:
        return _unknown_channel(name, [each.name for each in found.channels])
    if channel.enabled is False:
        text = f"channel {name!r} is disabled: {channel.disabled_because}"
        return json_error(HTTPStatus.CONFLICT, text)
    if found.notifier == "not running":
        return json_error(HTTPStatus.GATEWAY_TIMEOUT, f"the notifier is not running; see {NOTIFIER_HELP}")
    return None


def _retry_later(text: str, seconds: int) -> Response:
    response = json_error(HTTPStatus.SERVICE_UNAVAILABLE, text)
    response.headers["Retry-After"] = str(seconds)
    return response


def _unknown_channel(name: str, known: list[str]) -> Response:
    listed = ", ".join(known) or "none"
    text = f"no channel named {name!r}{did_you_mean(name, known)} (channels: {listed})"
    return json_error(HTTPStatus.NOT_FOUND, text)


def _answer_deliveries(sources: DataSources, name: str, arguments: Mapping[str, str]) -> Response:
    read = QueryParameters(arguments, (*DeliveryFilter._fields, "limit", "cursor", "format"))
    wanted = DeliveryFilter(
        read.one_of("state", get_args(DeliveryState)),
        read.one_of("change", get_args(Change)),
        read.text("alert"),
        read.timestamp("since"),
        read.timestamp("until"),
    )
    limit = read.number("limit", MAX_LIMIT) or DEFAULT_LIMIT
    before, is_csv = read.cursor(int), read.is_csv()
    read.check()
    configured = [each for each, _ in configured_channels(sources)]
    with sources.health.read() as connection:
        if name not in configured and not has_deliveries(connection, name):
            return _unknown_channel(name, configured)
        if is_csv:
            rows = _all_deliveries(sources, name, wanted)
            return csv_response(rows, _COLUMNS, f"deliveries-{name}")
        found = list_deliveries(connection, name, wanted, limit + 1, before)
    page = found[:limit]
    return link_next(json_response(page), encode_cursor(page[-1].id) if len(found) > limit else None)


_COLUMNS = [field.encode_name for field in msgspec.structs.fields(ChannelDelivery)]


def _all_deliveries(
    sources: DataSources, name: str, wanted: DeliveryFilter
) -> Iterator[Mapping[str, object]]:
    """Yield all rows, in short transactions: the client may read slowly."""
    before: int | None = None
    while True:
        with sources.health.read() as connection:
            rows = list_deliveries(connection, name, wanted, CSV_BATCH, before)
        yield from (msgspec.to_builtins(row) for row in rows)
        if len(rows) < CSV_BATCH:
            return
        before = rows[-1].id
