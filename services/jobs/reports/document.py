"""A report laid out: sections of tables, charts and texts, from which the page and the PDF are made. Pure.

Every number is formatted here, once; a cell keeps the figure's name and value beside its text, so that both
can be read back.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from services.jobs.reports import charts
from services.jobs.reports.trades import profit_factor, win_rate
from shared.schema.formatting import format_span, format_value, unit_named
from shared.schema.reports import (
    AccountReport,
    BotRow,
    Figure,
    FigureDifference,
    OnCallGroup,
    Report,
    TradeGroup,
)
from shared.schema.units import MONEY, PERCENT, PLAIN, SECONDS, Unit

Tone = Literal["", "gain", "loss", "muted", "strong"]
NONE = "–"  # noqa: RUF001 - as on the page
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SIGNED = {
    "totalPnL", "totalReturn", "bestDay", "worstDay", "tradePnL", "expectancy", "returnMonthToDate",
    "return3Months", "return6Months", "returnYearToDate", "return12Months", "bestMonth", "worstMonth",
}  # fmt: skip
"""Figures whose sign has a colour."""


class Cell(msgspec.Struct, frozen=True):
    """A cell of a table."""

    text: str
    figure: str = ""
    """Path of the figure in the report, such as `portfolio.totalReturn`; empty for other texts."""
    value: float | None = None
    tone: Tone = ""
    note: str = ""


class Table(msgspec.Struct, frozen=True, tag="table"):
    """A table; columns after the first that are `numeric` are aligned to the right."""

    caption: str
    columns: list[str]
    rows: list[list[Cell]]
    numeric: list[bool]


class Chart(msgspec.Struct, frozen=True, tag="chart"):
    """A chart with its title."""

    title: str
    svg: str


class Trends(msgspec.Struct, frozen=True, tag="trends"):
    """Small charts in a row, each with a title and a text."""

    title: str
    items: list[tuple[str, str, str]]
    """Label, text, SVG."""


class Texts(msgspec.Struct, frozen=True, tag="texts"):
    """Paragraphs, or a list."""

    texts: list[str]
    is_list: bool = False


class Advice(msgspec.Struct, frozen=True, tag="advice"):
    """A recommendation."""

    priority: str
    text: str
    rule: str
    subject: str
    evidence: list[str]


Block = Table | Chart | Trends | Texts | Advice


class Section(msgspec.Struct, frozen=True):
    """A section."""

    title: str
    blocks: list[Block]
    level: int = 2


class LaidOut(msgspec.Struct, frozen=True):
    """A report laid out."""

    report_id: str
    title: str
    subtitle: str
    status: str
    link: str
    """Where the report is on the page."""
    sections: list[Section]
    footer: str


def build_document(report: Report, dashboard_url: str) -> LaidOut:
    """Return the sections of a report; `dashboard_url` is the base of the link to it."""
    period = report.period
    zone = ZoneInfo(period.time_zone)
    span = f"{_moment(period.since, zone)} to {_moment(period.until, zone)}, {period.time_zone}"
    before = f"compared with {_moment(period.previous_since, zone)} to {_moment(period.since, zone)}"
    who = f"bots {', '.join(report.requested_bots)}" if report.requested_bots else "all bots"
    sections = [
        _status(report),
        _recommendations(report),
        *_account("Portfolio", "portfolio", report.portfolio, zone),
        *([_bots(report.bots)] if report.bots else []),
        *_operations(report, zone),
        *(section for account in report.accounts for section in _account_of_bot(account, zone)),
        Section("Notes", [Texts(_notes(report), is_list=True)]),
    ]
    return LaidOut(
        report_id=report.report_id,
        title=report.title,
        subtitle=f"{who}; {span}; {before}.",
        status=report.dashboard.summary.status,
        link=f"{dashboard_url}/reports/{report.report_id}",
        sections=sections,
        footer=f"Botwatch {report.version}, {report.report_id}, "
        f"built {report.generated_at:%Y-%m-%d %H:%M} UTC",
    )


def _status(report: Report) -> Section:
    summary = report.dashboard.summary
    counts = ", ".join(
        f"{number} {what}{'' if number == 1 else 's'}"
        for number, what in (
            (summary.bots, "bot"),
            (summary.hosts, "host"),
            (summary.active_alerts, "open alert"),
        )
    )
    texts = [f"{summary.status} when this report was built: {counts}.", *summary.reasons, *summary.handled]
    return Section("Status", [Texts(texts)])


def _recommendations(report: Report) -> Section:
    found: list[Block] = [
        Advice(
            one.priority,
            one.text,
            one.rule,
            one.subject,
            [
                f"{each.figure}: {each.value}" + (f" (limit {each.limit})" if each.limit else "")
                for each in one.evidence
            ],
        )
        for one in report.recommendations
    ]
    none = Texts(["No rule found anything in the figures of this period."])
    return Section("Recommendations", found or [none])


def _account(title: str, path: str, account: AccountReport, zone: ZoneInfo) -> list[Section]:
    money = f" ({account.currency})" if account.currency else ""
    blocks: list[Block] = []
    if account.reason:
        blocks.append(Texts([account.reason]))
    if account.figures:
        blocks.append(_figures(f"{title}: figures of the period{money}", path, account.figures))
    if len(account.curve) > 1:
        equity = [(point.at, point.equity) for point in account.curve]
        falls = [(point.at, point.drawdown) for point in account.curve]
        blocks += [
            Chart(f"Equity{money}", charts.line_chart(equity, MONEY, zone, "Equity")),
            Chart("Drawdown", charts.line_chart(falls, PERCENT, zone, "Drawdown", is_fall=True)),
        ]
    if len(account.returns) >= 5:  # noqa: PLR2004 - fewer have no distribution
        blocks.append(
            Chart(
                "Daily returns, number of days", charts.histogram(account.returns, PERCENT, "Daily returns")
            )
        )
    if account.trailing:
        blocks.append(_trailing(path, account))
    blocks += [*_monthly(path, account), *_drawdowns(account, zone), *_trades(path, account)]
    return [Section(title, blocks)]


def _account_of_bot(account: AccountReport, zone: ZoneInfo) -> list[Section]:
    path = f"bots.{account.name}"
    (section,) = _account(account.name, path, account, zone)
    blocks = [*section.blocks]
    for title, part, figures in (
        ("Risk since the beginning", "risk", account.risk),
        ("Execution, latest 1,000 orders", "execution", account.execution),
    ):
        if any(figure.value is not None for figure in figures):
            blocks.append(_figures(title, f"{path}.{part}", figures))
    if account.differences:
        blocks.append(_differences(account.differences))
    if account.warnings:
        blocks.append(Texts(account.warnings, is_list=True))
    return [Section(f"Bot {account.name}", blocks)]


def _figures(caption: str, path: str, figures: Sequence[Figure]) -> Table:
    rows = [
        [
            Cell(figure.label),
            figure_cell(figure, path),
            Cell(_format(figure.previous, figure.unit)),
            Cell(_change(figure), tone="muted"),
            Cell(figure.note, tone="muted"),
        ]
        for figure in figures
    ]
    columns = ["Figure", "Period", "Before", "Change", "Note"]
    return Table(caption, columns, rows, [False, True, True, True, False])


def figure_cell(figure: Figure, path: str) -> Cell:
    """Return a figure's cell, from which its value can be read back."""
    tone: Tone = ""
    if figure.name in _SIGNED and figure.value:
        tone = "gain" if figure.value > 0 else "loss"
    text = _format(figure.value, figure.unit)
    return Cell(text, f"{path}.{figure.name}", figure.value, tone)


def _format(value: float | None, unit: str | Unit) -> str:
    if value is None:
        return NONE
    return format_value(value, unit_named(unit) if isinstance(unit, str) else unit)


def _change(figure: Figure) -> str:
    if figure.value is None or figure.previous is None:
        return ""
    change = figure.value - figure.previous
    if not change:
        return "="
    unit = unit_named(figure.unit)
    text = format_value(abs(change), PLAIN if unit is PERCENT else unit)
    return f"{'+' if change > 0 else '−'}{text}" + (" pp" if unit is PERCENT else "")


def _trailing(path: str, account: AccountReport) -> Table:
    rows = [
        [Cell(one.label), figure_cell(one, path), Cell(one.note, tone="muted")] for one in account.trailing
    ]
    return Table("Returns up to the end of the period", ["Return", "", "Note"], rows, [False, True, False])


def _monthly(path: str, account: AccountReport) -> list[Block]:
    if not account.monthly:
        return []
    rows = [
        [
            Cell(str(year.year)),
            *(
                _return_cell(value, f"{path}.monthly.{year.year}-{number:02}")
                for number, value in enumerate(year.months, 1)
            ),
            _return_cell(year.total, f"{path}.monthly.{year.year}"),
        ]
        for year in account.monthly
    ]
    return [
        Table(
            "Monthly returns, percent", ["Year", *MONTHS, "All"], rows, [False, *[True] * (len(MONTHS) + 1)]
        )
    ]


def _return_cell(value: float | None, path: str) -> Cell:
    if value is None:
        return Cell("")
    return Cell(f"{value:.1f}", path, value, "gain" if value > 0 else "loss" if value < 0 else "")


def _drawdowns(account: AccountReport, zone: ZoneInfo) -> list[Block]:
    if not account.drawdowns:
        return []
    rows = [
        [
            Cell(_moment(one.began, zone)),
            Cell(_moment(one.deepest_at, zone)),
            Cell(_moment(one.ended, zone) if one.ended else "not recovered"),
            Cell(_format(one.depth, PERCENT), tone="loss"),
            Cell(f"{one.days:.1f}"),
        ]
        for one in account.drawdowns
    ]
    columns = ["From the peak of", "Deepest", "Recovered", "Depth", "Days"]
    return [Table("Deepest drawdowns of the period", columns, rows, [False, False, False, True, True])]


def _trades(path: str, account: AccountReport) -> list[Block]:
    trades = account.trades
    if trades is None or not trades.total.trades:
        return []
    blocks: list[Block] = [
        _trade_table(f"Trades by {name}", name.capitalize(), groups, f"{path}.trades.{name}")
        for name, groups in (
            ("symbol", trades.by_symbol),
            ("weekday", trades.by_weekday),
        )
    ]
    pnl = {group.key: group.pnl for group in trades.by_hour}
    hours = [(f"{hour:02}", pnl.get(f"{hour:02}", 0.0)) for hour in range(24)]
    blocks.append(
        Chart("P&L of trades by the hour in which they closed", charts.bar_chart(hours, MONEY, "P&amp;L"))
    )
    return blocks


def _trade_table(caption: str, first: str, groups: Iterable[TradeGroup], path: str) -> Table:
    rows = [
        [
            Cell(group.key),
            Cell(str(group.trades), f"{path}.{group.key}.trades", group.trades),
            Cell(_format(win_rate(group), PERCENT), f"{path}.{group.key}.winRate", win_rate(group)),
            Cell(_format(profit_factor(group), PLAIN)),
            Cell(
                _format(group.pnl, MONEY),
                f"{path}.{group.key}.pnl",
                group.pnl,
                "gain" if group.pnl > 0 else "loss" if group.pnl < 0 else "",
            ),
        ]
        for group in groups
    ]
    columns = [first, "Trades", "Win rate", "Profit factor", "P&L"]
    return Table(caption, columns, rows, [False, True, True, True, True])


def _differences(differences: Iterable[FigureDifference]) -> Table:
    rows = [
        [Cell(one.label), Cell(_format(one.reported, one.unit)), Cell(_format(one.computed, one.unit))]
        for one in differences
    ]
    return Table("Reported against computed", ["Figure", "Reported", "Computed"], rows, [False, True, True])


def _bots(bots: Sequence[BotRow]) -> Section:
    labels = [figure.label for figure in bots[0].figures]
    rows = [
        [
            Cell(row.bot),
            Cell(row.currency or NONE),
            *(figure_cell(figure, f"bots.{row.bot}") for figure in row.figures),
        ]
        for row in bots
    ]
    table = Table("All bots", ["Bot", "Currency", *labels], rows, [False, False, *[True] * len(labels)])
    return Section("Bots", [table])


def _operations(report: Report, zone: ZoneInfo) -> list[Section]:
    sections = []
    if report.incidents:
        sections.append(Section("Incidents", _incidents(report, zone)))
    if report.on_call and (report.on_call.by_channel or report.on_call.by_person):
        load = report.on_call
        blocks: list[Block] = [_load("Notices by person", "Person", load.by_person)] if load.by_person else []
        sections.append(
            Section("On call", [*blocks, _load("Notices by channel", "Channel", load.by_channel)])
        )
    if report.checks:
        sections.append(Section("Checks", [_checks(report)]))
    if report.hosts:
        sections.append(Section("Hosts", _hosts(report)))
    return sections


def _incidents(report: Report, zone: ZoneInfo) -> list[Block]:
    found = report.incidents
    if found is None:
        return []
    blocks: list[Block] = [_figures("Alerts that opened in the period", "incidents", found.figures)]
    if found.by_rule:
        rows = [
            [
                Cell(group.key),
                Cell(str(group.opened)),
                Cell(str(group.previous)),
                Cell(str(group.acknowledged)),
                Cell(_seconds(group.acknowledge_seconds)),
                Cell(_seconds(group.resolve_seconds)),
                Cell(str(group.short)),
                Cell(str(group.notices)),
            ]
            for group in found.by_rule
        ]
        columns = [
            *("Rule", "Opened", "Before", "Acknowledged"),
            *("To acknowledge", "To resolve", "Within 5m", "Notices"),
        ]
        blocks.append(Table("By rule (times are medians)", columns, rows, [False, *[True] * 7]))
    if found.longest:
        rows = [
            [
                Cell(_moment(one.opened_at, zone)),
                Cell(one.severity),
                Cell(one.component),
                Cell(one.message),
                Cell(_seconds(one.acknowledge_seconds)),
                Cell(_seconds(one.resolve_seconds) if one.resolve_seconds is not None else "open"),
            ]
            for one in found.longest
        ]
        columns = ["Opened", "Severity", "Subject", "Message", "To acknowledge", "To resolve"]
        numeric = [False, False, False, False, True, True]
        blocks.append(Table("Longest alerts", columns, rows, numeric))
    return blocks


def _load(caption: str, first: str, groups: Iterable[OnCallGroup]) -> Table:
    rows = [
        [
            Cell(group.key),
            *(
                Cell(str(number))
                for number in (group.notices, group.previous, group.at_night, group.alerts, group.failed)
            ),
        ]
        for group in groups
    ]
    columns = [first, "Notices", "Before", "At night", "Alerts", "Not delivered"]
    return Table(caption, columns, rows, [False, *[True] * 5])


def _checks(report: Report) -> Table:
    rows = [
        [
            Cell(check.host),
            Cell(check.check),
            Cell(_uptime(check.uptime), f"checks.{check.host}.{check.check}.uptime", check.uptime),
            Cell(_uptime(check.previous)),
            Cell(str(check.outages)),
            Cell(_seconds(check.downtime_seconds)),
            Cell(NONE if check.latency_ms is None else f"{check.latency_ms:.0f} ms"),
            Cell("" if check.certificate_days is None else f"{check.certificate_days:.0f}"),
        ]
        for check in report.checks
    ]
    columns = [
        *("Host", "Check", "Uptime", "Before"),
        *("Outages", "Downtime", "Mean latency", "Certificate days"),
    ]
    return Table("Uptime of checks", columns, rows, [False, False, *[True] * 6])


def _hosts(report: Report) -> list[Block]:
    blocks: list[Block] = []
    for host in report.hosts:
        full = "" if host.disk_full_days is None else f", full in {host.disk_full_days:.0f} days"
        items = [
            ("CPU", _mean_and_max(host.cpu_mean, host.cpu_max), charts.trend(host.cpu, "CPU")),
            ("Memory", _mean_and_max(host.memory_mean, host.memory_max), charts.trend(host.memory, "Memory")),
            (
                "Disk",
                f"{_format(host.disk_begin, PERCENT)} → {_format(host.disk_end, PERCENT)}{full}",
                charts.trend(host.disk, "Disk"),
            ),
        ]
        blocks.append(Trends(host.host, items))
    return blocks


def _mean_and_max(mean: float | None, highest: float | None) -> str:
    return f"mean {_format(mean, PERCENT)}, max {_format(highest, PERCENT)}"


def _uptime(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}%"


def _seconds(value: float | None) -> str:
    return NONE if value is None else format_value(value, SECONDS) if value < 1 else format_span(value)


def _notes(report: Report) -> list[str]:
    return [
        *report.notes,
        "Figures of the period compare with the period before; pp are percentage points.",
        "Money is in the currency of the account; returns are time-weighted: deposits change none.",
        "“Low confidence” marks figures of fewer than 30 daily returns.",
    ]


def _moment(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"
