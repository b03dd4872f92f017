"""What requests ask for: filters, histories, acknowledgements, silences. Every fault is named."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple, TypeVar, get_args

import msgspec
from msgspec import Meta

from services.dashboard.api.parameters import MAX_LIMIT, QueryParameters
from services.dashboard.snapshot import PERFORMANCE_METRICS
from shared.access.identity import OPEN, Identity, resolve_actor
from shared.access.tokens import TokenRequest
from shared.runtime.web.openapi import Parameter
from shared.schema.alerts import Acknowledgement, BulkAcknowledgement
from shared.schema.decoding import BOM, UNREADABLE, describe_json_error
from shared.schema.durations import DURATION_DESCRIPTION, format_duration_ms, milliseconds
from shared.schema.faults import Fault, InvalidError, struct_faults
from shared.schema.records import CheckStatus, CheckType
from shared.schema.reports import ReportRequest
from shared.schema.silences import Matcher, SilencePreviewRequest, SilenceRequest, matcher_faults
from shared.store.rollups import SOURCES
from shared.store.time_buckets import SECOND, TimeBuckets

BY = Parameter(
    "by",
    Annotated[str, Meta(max_length=256)],
    "Who acts, if not the signed-in user: only with a token that may act for others.",
)
DEFAULT_LIMIT = 100
MAX_NAME = 256
MAX_COMMENT = 4096
MAX_TIMEOUT_MS = 365 * 86_400_000
Timeout = (
    Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,2}[smh]$|^[1-9][0-9]?d$", description=DURATION_DESCRIPTION)]
    | Annotated[float, Meta(ge=0.001, le=MAX_TIMEOUT_MS / 1000)]
)
"""For `describe`."""

S = TypeVar("S", bound=msgspec.Struct)
A = TypeVar("A", bound=Acknowledgement)


class BotPage(NamedTuple):
    """Which bots are wanted, in the order of their names."""

    limit: int
    after: str | None = None
    """The last name of the page before."""
    trends: bool | None = None
    """Whether their trends are wanted; None: where they are few."""

    def names(self, known: Sequence[str]) -> list[str]:
        """Return the names of the page, of those that are `known` (sorted)."""
        begin = 0 if self.after is None else bisect_right(known, self.after)
        return list(known[begin : begin + self.limit])

    def next_after(self, names: Sequence[str], known: Sequence[str]) -> str | None:
        """Return `after` of the next page, None after the last one."""
        return names[-1] if names and names[-1] != known[-1] else None


DEFAULT_BOTS = 500
ALL_BOTS = BotPage(DEFAULT_BOTS)


class HistoryQuery(NamedTuple):
    """Which performance records are wanted."""

    bot: str
    steps: TimeBuckets
    fields: tuple[str, ...]
    sources: tuple[str, ...]
    is_csv: bool


class CurveQuery(NamedTuple):
    """Which part of a bot's equity or drawdown is wanted."""

    bot: str
    steps: TimeBuckets
    is_csv: bool


class CheckFilter(NamedTuple):
    """Which checks are wanted; None lets any pass."""

    host: str | None = None
    type: str | None = None
    status: str | None = None
    is_csv: bool = False


class CheckHistoryQuery(NamedTuple):
    """Which part of a check's past is wanted."""

    host: str
    check: str
    steps: TimeBuckets


def history_query(arguments: Mapping[str, str], now: datetime) -> HistoryQuery:
    """Read which performance records are wanted; InvalidError names every fault."""
    read = QueryParameters(arguments, ("bot", "from", "to", "step", "fields", "source", "format"))
    query = HistoryQuery(
        read.required("bot"),
        read.time_buckets(now, SECOND),
        read.choice("fields", PERFORMANCE_METRICS),
        read.choice("source", SOURCES),
        read.is_csv(),
    )
    read.check()
    return query


def curve_query(arguments: Mapping[str, str], now: datetime, least: timedelta) -> CurveQuery:
    """Read which steps of a curve are wanted; `least` is the narrowest that can be had."""
    read = QueryParameters(arguments, ("bot", "from", "to", "step", "format"))
    query = CurveQuery(read.required("bot"), read.time_buckets(now, least), read.is_csv())
    read.check()
    return query


def check_filter(arguments: Mapping[str, str]) -> CheckFilter:
    """Read which checks are wanted."""
    read = QueryParameters(arguments, ("host", "type", "status", "format"))
    for name, allowed in (("type", get_args(CheckType)), ("status", get_args(CheckStatus))):
        value = read.text(name)
        if value and value not in allowed:
            read.add_error(name, f"expected one of {', '.join(allowed)}, got {value!r}")
    is_csv = read.is_csv()
    read.check()
    return CheckFilter(read.text("host"), read.text("type"), read.text("status"), is_csv)


def check_history_query(arguments: Mapping[str, str], now: datetime) -> CheckHistoryQuery:
    """Read which steps of a check's past are wanted."""
    read = QueryParameters(arguments, ("host", "check", "from", "to", "step"))
    query = CheckHistoryQuery(read.required("host"), read.required("check"), read.time_buckets(now, SECOND))
    read.check()
    return query


def bot_page(arguments: Mapping[str, str]) -> BotPage:
    """Read which bots are wanted."""
    read = QueryParameters(arguments, BotPage._fields)
    trends = read.text("trends")
    if trends not in (None, "true", "false"):
        read.add_error("trends", f"expected true or false, got {trends!r}")
    limit = read.number("limit", MAX_LIMIT) or DEFAULT_BOTS
    read.check()
    return BotPage(limit, read.text("after"), None if trends is None else trends == "true")


def bot_name(arguments: Mapping[str, str]) -> str:
    """Read whose trends are wanted."""
    read = QueryParameters(arguments, ("bot",))
    bot = read.required("bot")
    read.check()
    return bot


def parse_silence(body: bytes, identity: Identity) -> SilenceRequest:
    """Read a silence of `identity`. InvalidError lists its faults; ForbiddenError for another's name."""
    example = '{"matchers": […], "endsAt": "…", "createdBy": "name"}'
    return decode_body(body, SilenceRequest, example, lambda value: _set_actor(value, "createdBy", identity))


def parse_matchers(body: bytes) -> list[Matcher]:
    """Read the matchers of a silence that is not made yet; InvalidError lists its faults."""
    matchers = decode_body(body, SilencePreviewRequest, '{"matchers": […]}').matchers
    if faults := matcher_faults(matchers):
        raise InvalidError(faults)
    return matchers


def parse_report(body: bytes, identity: Identity) -> ReportRequest:
    """Read which report `identity` asks for. InvalidError lists its faults."""

    def complete(value: object) -> None:
        _set_actor(value, "requestedBy", identity)

    return decode_body(body or b"{}", ReportRequest, '{"period": "weekly"}', complete)


def parse_token(body: bytes) -> TokenRequest:
    """Read a token that is asked for; InvalidError lists its faults."""
    return decode_body(body, TokenRequest, '{"name": "ci", "scopes": ["read"]}')


def acting(arguments: Mapping[str, str], identity: Identity) -> str | None:
    """Read who acts: the signed-in name, or `by` if it is said. ForbiddenError for another's name."""
    read = QueryParameters(arguments, ("by",))
    by = (read.text("by") or "").strip()
    if len(by) > MAX_NAME:
        read.add_error("by", f"expected at most {MAX_NAME} characters, got {len(by)}")
    read.check()
    return resolve_actor(identity, by)


def _set_actor(value: object, field: str, identity: Identity) -> None:
    """Set who acts in a body to the signed-in name. ForbiddenError for another's name."""
    if isinstance(value, dict) and identity.kind != "open":
        given = value.get(field)
        if given is None or isinstance(given, str):
            value[field] = resolve_actor(identity, given)


def parse_acknowledgement(body: bytes, identity: Identity = OPEN) -> Acknowledgement:
    """Read an acknowledgement by `identity`; blanks around the texts are dropped.

    InvalidError lists its faults; ForbiddenError for another's name.
    """
    found = decode_body(
        body, Acknowledgement, '{"by": "name"}', lambda value: _set_actor(value, "by", identity)
    )
    return _checked(found)


def parse_bulk_acknowledgement(body: bytes, identity: Identity = OPEN) -> BulkAcknowledgement:
    """Read an acknowledgement of several alerts, as `parse_acknowledgement` does of one."""
    found = decode_body(
        body,
        BulkAcknowledgement,
        '{"ids": ["…"], "by": "name"}',
        lambda value: _set_actor(value, "by", identity),
    )
    return _checked(found)


def _checked(found: A) -> A:
    """Return an acknowledgement without blanks around its texts. InvalidError lists its faults."""
    faults = []
    by, comment = found.by.strip(), (found.comment or "").strip()
    if not by:
        faults.append(Fault("$.by", "required, but blank"))
    for name, text, most in (("by", by, MAX_NAME), ("comment", comment, MAX_COMMENT)):
        if len(text) > most:
            faults.append(Fault(f"$.{name}", f"expected at most {most} characters, got {len(text)}"))
    if found.timeout is not None and not _is_valid_timeout(found.timeout):
        longest = format_duration_ms(MAX_TIMEOUT_MS)
        faults.append(Fault("$.timeout", f"expected more than 0 and at most {longest}, got {found.timeout}"))
    if faults:
        raise InvalidError(faults)
    return msgspec.structs.replace(found, by=by, comment=comment or None)


def _is_valid_timeout(timeout: str | float) -> bool:
    try:
        return 0 < milliseconds(timeout) <= MAX_TIMEOUT_MS
    except OverflowError:
        return False


def decode_body(
    body: bytes, kind: type[S], example: str, complete: Callable[[object], None] = lambda _: None
) -> S:
    """Read a JSON body, which `complete` may change, as a `kind`; InvalidError lists its faults."""
    try:
        value = msgspec.json.decode(body.removeprefix(BOM))
    except UNREADABLE as error:
        raise InvalidError(
            [Fault("$", f"expected JSON like {example}: {describe_json_error(body, error)}")]
        ) from error
    complete(value)
    faults = struct_faults(value, kind)
    if faults:
        raise InvalidError(faults)
    return msgspec.convert(value, kind)
