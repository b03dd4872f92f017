"""The details of an alert and of a bot as lines. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from botwatch.cli.formatting import clock, families, span, value
from botwatch.cli.top.model import Open
from botwatch.typed_json import Document


def detail_lines(opened: Open, answer: Document, now: datetime) -> list[str]:
    """Return the lines of what is opened."""
    return list(_alert(answer, now) if opened.pane == "alerts" else _bot(answer, now))


def _alert(alert: Document, now: datetime) -> Iterator[str]:
    details = alert["details"]
    yield f"{alert['severity']}  {alert['component']}: {alert['message']}"
    yield ""
    muted = details.get("mutedBy")
    yield from _fields(
        {
            "status": alert["status"] + (f", muted: {muted}" if muted else ""),
            "acknowledged by": alert.get("assignee"),
            "comment": alert.get("comment"),
            "opened": clock(alert["timestamp"], now),
            "resolved": alert.get("resolvedAt") and clock(alert["resolvedAt"], now),
            "rule": details["rule"],
            "category": alert["category"],
            "labels": ", ".join(f"{name}={text}" for name, text in details.get("labels", {}).items()),
            "runbook": details.get("links", {}).get("runbook"),
            "ID": alert["id"],
        }
    )
    yield ""
    yield "Timeline"
    for one in alert.get("timeline", ()):
        by = f" by {one['by']}" if one.get("by") else ""
        text = one.get("comment") or one.get("message") or ""
        yield f"  {clock(one['timestamp'], now)}  {one['change']}{by}  {text}"
    if deliveries := alert.get("notifications"):
        yield ""
        yield "Deliveries"
        for one in deliveries:
            why = one.get("lastError") or one.get("reason") or ""
            at = clock(one["createdAt"], now)
            yield f"  {at}  {one['channel']}  {one['change']}  {one['state']}  {why}"


def _bot(detail: Document, now: datetime) -> Iterator[str]:
    performance = detail["performance"]
    event = performance.get("lastEvent")
    yield str(detail["bot"])
    yield ""
    yield from _fields(
        {
            "last seen": span(performance.get("ageSeconds")),
            "heartbeat": performance.get("heartbeatStatus"),
            "history since": clock(detail.get("firstAt"), now),
            "labels": ", ".join(f"{name}={text}" for name, text in detail["labels"].items()),
            "last event": event and f"{clock(event['timestamp'], now)} {event['title']}",
            "open alerts": "; ".join(f"{one['severity']}: {one['message']}" for one in detail["alerts"]),
        }
    )
    for title, metrics in families().items():
        known = {
            one.label: value(performance[one.name], one.unit, performance.get("currency"))
            for one in metrics
            if performance.get(one.name) is not None
        }
        if known:
            yield ""
            yield title
            yield from _fields(known)


def _fields(fields: Mapping[str, str | None]) -> Iterator[str]:
    for name, text in fields.items():
        if text:
            yield f"  {name:<24} {text}"
