"""Sample messages of every kind, to check templates at start."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec

from services.notifier.content.message import NotificationMessage
from services.notifier.content.message_view import MAX_ALERTS, MessageView, message_view
from shared.schema.alerts import Details, External, Notice

_AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
_PAGE = "https://botwatch.example"
_NOTICE = Notice(
    id="sample",
    timestamp=_AT - timedelta(minutes=7),
    severity="HIGH",
    category="PERFORMANCE",
    component="scalper-1",
    message="Maximum drawdown 21.3% (limit 20%)",
    status="ACTIVE",
    details=Details(
        rule="drawdown",
        bot="scalper-1",
        metric="maxDrawdown",
        value=21.3,
        operator=">",
        threshold=20.0,
        labels={"source": "computed", "venue": "binance"},
        links={"alert": f"{_PAGE}/alerts/sample", "runbook": f"{_PAGE}/runbooks/drawdown"},
    ),
    fingerprint="sample",
    updated_at=_AT,
    change="opened",
)
_MINIMAL_DETAILS = Details(
    rule="cpu", host="box", metric="cpuUsage", value=99.0, operator=">=", threshold=95.0
)
_EXTERNAL_DETAILS = Details(
    rule="DiskFull",
    metric="alert",
    value=1.0,
    operator=">",
    threshold=0.0,
    unit="condition",
    labels={"alertname": "DiskFull", "instance": "db1:9100"},
    links={"source": "https://prometheus.example/graph"},
    external=External(annotations={"description": "97% of /data are used."}, starts_at=_AT),
)
_FULL_DETAILS = msgspec.structs.replace(_NOTICE.details, flaps=5, raised_to="CRITICAL")


def sample_views() -> Iterator[MessageView]:
    """Yield messages in which every optional value is present at least once and missing at least once."""
    replace = msgspec.structs.replace
    taken = replace(_NOTICE, status="ACKNOWLEDGED", assignee="ann", comment="looking", change="raised")
    busy = replace(taken, change="flapping", details=_FULL_DETAILS)
    ended = replace(taken, id="ended", change="resolved", status="RESOLVED", resolved_at=_AT)
    bare = replace(_NOTICE, id="bare", component="box", details=_MINIMAL_DETAILS, change="repeated")
    external = replace(_NOTICE, id="external", component="db1:9100", details=_EXTERNAL_DETAILS)
    many = tuple(replace(bare, id=f"sample-{n}") for n in range(MAX_ALERTS + 1))
    for notices, late in (
        ((_NOTICE,), 0), ((busy,), 7), ((ended,), 0), ((bare,), 0), ((external,), 0),
        ((ended, busy, *many), 90), ((ended, taken), 0),
    ):  # fmt: skip
        seen = _view(NotificationMessage(notices, "sample", _AT, timedelta(minutes=late)))
        yield seen
        yield replace(seen, chart="cid:chart")
    yield _view(NotificationMessage((_NOTICE,), "sample", _AT, is_test=True))


def _view(message: NotificationMessage) -> MessageView:
    return message_view(message, lambda _notice: f"{_PAGE}/acknowledge/sample")
