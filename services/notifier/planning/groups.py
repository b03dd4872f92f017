"""Groups: which alerts are sent in one message, and when. Pure; time is an argument."""

from datetime import datetime

import msgspec

from services.notifier.planning.routes import Route, matchable_labels
from shared.schema.alerts import Alert


def group_key(route: Route, alert: Alert) -> str | None:
    """Return the group of `alert`, such as `night/{rule="slippage"}`; None: the route does not group.

    A missing label has the value "". With an empty `groupBy` the whole route is one group.
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
    """Return when the message with an alert that is new at `now` is due.

    `previous` is the due time of the group's latest message; a pending message includes the new alert.
    """
    if previous is None:
        return now + route.group_wait
    if previous > now:
        return previous
    return max(now + route.group_wait, previous + route.group_interval)
