"""Groups: which alerts come in one message, and when it is sent. Pure; time is an argument."""

from datetime import datetime

import msgspec

from services.notifier.planning.routes import Route, matchable_labels
from shared.schema.alerts import Alert


def group_key(route: Route, alert: Alert) -> str | None:
    """Return the group that `alert` belongs to, such as `night/{rule="slippage"}`; None: it has none.

    A label that is absent has the value "". Without labels to group by, the whole route is one group.
    """
    if route.group_by is None:
        return None
    labels = matchable_labels(alert)
    parts = (f"{_name(name)}={_quoted(labels.get(name, ''))}" for name in sorted({*route.group_by}))
    return f"{route.name}/{{{','.join(parts)}}}"


def _name(label: str) -> str:
    return label if label.isidentifier() else _quoted(label)


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def next_message_at(previous: datetime | None, route: Route, now: datetime) -> datetime:
    """Return when the message is due that tells of something new at `now`.

    `previous` is when the group's latest message is, or was, due: one that is still to come takes it along.
    """
    if previous is None:
        return now + route.group_wait
    if previous > now:
        return previous
    return max(now + route.group_wait, previous + route.group_interval)
