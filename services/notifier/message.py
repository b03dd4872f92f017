"""A notice in words: the subject and the text that a person reads at three in the morning."""

from datetime import UTC, datetime

from shared.schema.alerts import Notice

_CHANGES = {
    "reopened": "again ", "flapping": "flapping: ",
    "raised": "raised to ", "lowered": "lowered to ",
    "unacknowledged": "no longer acknowledged: ", "unmuted": "no longer muted: ",
}  # fmt: skip


def subject(notice: Notice) -> str:
    """Say in one line what, about whom and how bad: `[HIGH] demo: Drawdown exceeded 20% (21.3 > 20)`."""
    details = notice.details
    if notice.change == "resolved":
        return _one_line(f"RESOLVED [{notice.severity}] {notice.component}: {notice.message}")
    severity = _CHANGES.get(notice.change, "") + notice.severity
    seen = f"{details.value:.10g} {details.operator} {details.threshold:.10g}"
    return _one_line(f"[{severity}] {notice.component}: {notice.message} ({seen})")


def body(notice: Notice) -> str:
    """Say all of it: what, about whom, value and threshold, since when, its status, and where to look."""
    details = notice.details
    lines = [notice.message, "", f"Severity: {notice.severity} ({notice.category.lower()})", _about(notice)]
    lines.append(
        f"{details.metric}: {details.value:.10g} (the rule: {details.operator} {details.threshold:.10g})"
    )
    lines.append(f"Since: {_moment(notice.timestamp)}")
    if notice.resolved_at:
        lines.append(f"Resolved: {_moment(notice.resolved_at)}")
    status = f"Status: {notice.status}"
    lines.append(f"{status} by {notice.assignee}" if notice.assignee else status)
    if notice.comment:
        lines.append(f"Comment: {notice.comment}")
    if details.labels:
        labels = ", ".join(f"{name}={value}" for name, value in details.labels.items())
        lines.append(_one_line(f"Labels: {labels}"))
    if details.flaps:
        lines.append(f"Opened again: {details.flaps} times")
    if notice.change == "flapping":
        lines.append("It comes and goes; there is no further notice until it has been fine for a while.")
    if page := details.links.get("alert"):
        lines += ["", f"Look at it, acknowledge it: {page}"]
    if runbook := details.links.get("runbook"):
        lines.append(f"What to do: {runbook}")
    return "\n".join([*lines, "", f"Alert {notice.id}"]) + "\n"


def _about(notice: Notice) -> str:
    if notice.details.bot:
        return f"Bot: {notice.details.bot}"
    return f"Host: {notice.details.host or notice.component}"


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _one_line(text: str) -> str:
    return " ".join(text.split())
