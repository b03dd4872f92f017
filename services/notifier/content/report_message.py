"""A report as a message: subject, a summary in words with a link, and its files. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from shared.schema.formatting import format_value, unit_named
from shared.schema.reports import Figure, Period, Recommendation, Report

MAX_REASONS = 5
MAX_RECOMMENDATIONS = 10
MAX_ATTACHED_BYTES = 10 * 2**20
"""Many mail servers refuse larger mails: then there is the link only."""
_SUMMARISED = ("totalPnL", "totalReturn", "maxDrawdown", "trades", "winRate")


class ReportSummary(NamedTuple):
    """The body of a webhook."""

    type: str
    reportId: str  # noqa: N815 - on the wire
    title: str
    status: str
    period: Period
    text: str
    figures: list[Figure]
    """Of the portfolio."""
    recommendations: list[Recommendation]
    links: dict[str, str]


class ReportMessage(NamedTuple):
    """A report to send to one receiver."""

    report_id: str
    subject: str
    text: str
    """Without the link."""
    link: str
    summary: dict[str, object]
    """For programs."""
    files: dict[str, bytes]
    """By format: `html`, `pdf`."""


def report_message(report: Report, dashboard_url: str, files: dict[str, bytes]) -> ReportMessage:
    """Return the message about a report; files that are too large for a mail are left out."""
    link = f"{dashboard_url}/reports/{report.report_id}"
    text = "\n".join(_lines(report))
    is_small = sum(map(len, files.values())) <= MAX_ATTACHED_BYTES
    summary = ReportSummary(
        type="report",
        reportId=report.report_id,
        title=report.title,
        status=report.dashboard.summary.status,
        period=report.period,
        text=text,
        figures=report.portfolio.figures,
        recommendations=report.recommendations,
        links={"report": link},
    )
    subject = f"{report.title}: {report.dashboard.summary.status}"
    kept = files if is_small else {}
    return ReportMessage(report.report_id, subject, text, link, summary._asdict(), kept)


def _lines(report: Report) -> Iterator[str]:
    summary = report.dashboard.summary
    yield f"{summary.status} when the report was built."
    yield from summary.reasons[:MAX_REASONS]
    yield ""
    yield from _figures(report)
    if report.incidents:
        opened = next((one for one in report.incidents.figures if one.name == "alertsOpened"), None)
        if opened:
            yield f"{opened.label}: {_shown(opened)}"
    yield ""
    if not report.recommendations:
        yield "No recommendations."
    for one in report.recommendations[:MAX_RECOMMENDATIONS]:
        yield f"- {one.priority.upper()}: {one.text}"
    further = len(report.recommendations) - MAX_RECOMMENDATIONS
    if further > 0:
        yield f"- {further} more in the report."


def _figures(report: Report) -> Iterator[str]:
    portfolio = report.portfolio
    if portfolio.reason:
        yield portfolio.reason
    money = f" {portfolio.currency}" if portfolio.currency else ""
    for figure in portfolio.figures:
        if figure.name in _SUMMARISED and figure.value is not None:
            unit = money if figure.unit == "account currency" else ""
            yield f"{figure.label}: {_shown(figure)}{unit}"


def _shown(figure: Figure) -> str:
    if figure.value is None:
        return "undefined"
    text = format_value(figure.value, unit_named(figure.unit))
    if figure.previous is None:
        return text
    return f"{text} (before: {format_value(figure.previous, unit_named(figure.unit))})"
