"""What reports say: figures against arithmetic, and the page and the PDF against the struct."""

import re
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from services.jobs.context import JobContext
from services.jobs.reports.build import build_report
from services.jobs.reports.charts import nice_axis
from services.jobs.reports.document import build_document
from services.jobs.reports.html import render_html
from services.jobs.reports.pdf import render_pdf
from services.jobs.reports.read_operations import MAX_HOSTS
from services.jobs.reports.returns import losing_days
from shared.schema.report_periods import build_entry, resolve_period
from shared.schema.reports import AccountReport, Report, ReportRequest
from tests.report_data import NOW


def report_of(context: JobContext, **wanted: object) -> Report:
    request = ReportRequest(**{"period": "daily", **wanted})  # type: ignore[arg-type]
    return build_report(context, build_entry(request, resolve_period(request, NOW), "00000000", NOW), NOW)


def values(account: AccountReport) -> dict[str, float | None]:
    return {figure.name: figure.value for figure in account.figures}


class Figures(HTMLParser):
    """Reads the figures of a page: `<data id=… value=…>`."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.found: dict[str, float] = {}
        self.tags: set[str] = set()
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the tag, and the value of a figure."""
        self.tags.add(tag)
        given = dict(attrs)
        if tag == "data":
            self.found[str(given["id"])] = float(str(given["value"]))


def test_the_bots_make_the_portfolio(filled: JobContext) -> None:
    """P&L, equity, trades and fees are sums; the period before ends where the period begins."""
    report = report_of(filled, period="weekly")
    whole = values(report.portfolio)
    each = [values(account) for account in report.accounts]
    assert [account.name for account in report.accounts] == ["alpha", "beta", "gamma"]
    for name in ("portfolioValue", "totalPnL", "trades", "tradePnL", "fees", "funding"):
        assert whole[name] == pytest.approx(sum(one[name] or 0 for one in each), rel=1e-9)
    value, previous = next(
        (f.value, f.previous) for f in report.portfolio.figures if f.name == "portfolioValue"
    )
    assert value is not None and previous is not None  # noqa: PT018
    assert whole["totalPnL"] == pytest.approx(value - previous)
    assert whole["tradingDays"] == 7
    assert whole["trades"] == 3 * 7 * 8


def test_trades_are_grouped_in_local_time(filled: JobContext) -> None:
    """Each group has all trades, by symbol, weekday and hour."""
    trades = report_of(filled, period="weekly", time_zone="Asia/Kolkata", bots=["beta"]).portfolio.trades
    assert trades is not None
    for groups in (trades.by_symbol, trades.by_weekday, trades.by_hour):
        assert sum(group.trades for group in groups) == trades.total.trades > 0
        assert sum(group.pnl for group in groups) == pytest.approx(trades.total.pnl)
    assert [group.key for group in trades.by_weekday] == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    assert {int(group.key) % 3 for group in trades.by_hour} == {2}  # 3-hourly, 5:30 ahead of UTC


def test_incidents_have_times_to_acknowledge_and_resolve(filled: JobContext) -> None:
    """Of the 8 alerts of the day every fourth was acknowledged after 20 minutes, the others took 4."""
    found = report_of(filled).incidents
    assert found is not None
    figures = {figure.name: figure.value for figure in found.figures}
    assert (figures["alertsOpened"], figures["timeToAcknowledge"], figures["timeToResolve"]) == (8, 1200, 240)
    (rule,) = found.by_rule
    assert (rule.key, rule.opened, rule.previous, rule.acknowledged, rule.short) == ("drawdown", 8, 4, 2, 6)


def test_on_call_load_counts_notices_at_night(filled: JobContext) -> None:
    """By person and by channel, in the report's time zone."""
    load = report_of(filled).on_call
    assert load is not None
    (ann,), (phone,) = load.by_person, load.by_channel
    assert (ann.key, ann.notices, ann.previous, ann.at_night, ann.alerts) == ("ann", 8, 4, 3, 8)
    assert (phone.key, phone.failed) == ("phone", 0)


def test_checks_and_hosts_come_from_their_rollups(filled: JobContext) -> None:
    """The check was critical for one hour of the day."""
    report = report_of(filled)
    (check,), (host,) = report.checks, report.hosts
    assert check.uptime == pytest.approx(23 / 24 * 100)
    assert (check.outages, check.downtime_seconds, check.previous) == (1, 3600, 100)
    assert (host.memory_mean, host.disk_full_days) == (88, 9.5)
    assert host.disk_begin is not None and host.disk_end is not None and host.disk_begin < host.disk_end  # noqa: PT018
    assert len(host.cpu) == 24 <= MAX_HOSTS


def test_recommendations_follow_from_figures(filled: JobContext) -> None:
    """Each names its rule, the figure and the limit; a quiet period of one bot has none."""
    found = {one.rule: one for one in report_of(filled).recommendations}
    assert found.keys() == {
        "slow-response", "failing-check", "expiring-certificate", "filling-disk", "poor-execution",
        "on-call-burden", "busy-host",
    }  # fmt: skip
    evidence = [(one.figure, one.value, one.limit) for one in found["poor-execution"].evidence]
    assert (found["poor-execution"].subject, evidence) == ("beta", [("rejectRate", "7.50%", "5%")])
    assert report_of(filled, period="weekly", bots=["gamma"], kind="performance").recommendations == []


def test_few_returns_and_differences_are_said(filled: JobContext) -> None:
    """A ratio of few returns has a note; a win rate that fills do not confirm is a difference."""
    begin, end = NOW - timedelta(days=45), NOW - timedelta(days=42)
    report = report_of(filled, period="custom", from_=begin, to=end)
    alpha = next(account for account in report.accounts if account.name == "alpha")
    sharpe = next(figure for figure in alpha.risk if figure.name == "sharpeRatio")
    assert sharpe.note == "Low confidence: only 8 daily returns."
    rules = {one.rule for one in report.recommendations}
    assert "few-returns" in rules


def test_the_page_has_the_figures_of_the_struct(filled: JobContext) -> None:
    """They are read back from its HTML; it needs no script and no other address."""
    report = report_of(filled, period="monthly")
    page = render_html(build_document(report, "http://localhost:3001"))
    read = Figures(page)
    for account in (report.portfolio, *report.accounts):
        path = "portfolio" if account is report.portfolio else f"bots.{account.name}"
        for figure in account.figures:
            assert read.found.get(f"{path}.{figure.name}") == figure.value
    assert not read.tags & {"script", "link", "img", "iframe", "object"}
    assert set(re.findall(rb'(?:src|href)="([^"#][^"]*)"', page)) == {
        f"http://localhost:3001/reports/{report.report_id}".encode()
    }
    assert b"style=" not in page.partition(b"</style>")[2]


def test_text_of_bots_is_escaped(filled: JobContext) -> None:
    """An alert's message with markup is text on the page and in the PDF."""
    document = build_document(report_of(filled), "http://localhost:3001")
    page = render_html(document)
    assert b"Drawdown &lt;b&gt;12%&lt;/b&gt;" in page
    assert b"<b>12%" not in page
    assert render_pdf(document).startswith(b"%PDF-")


def test_bots_past_the_limit_are_in_the_table_only(
    filled: JobContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report says so."""
    monkeypatch.setattr("services.jobs.reports.build.MAX_DETAILED", 1)
    report = report_of(filled)
    assert len(report.accounts) == 1
    assert [row.bot for row in report.bots] == ["alpha", "beta", "gamma"]
    assert any(note.startswith("Bots: the 1 largest of 3 have a section") for note in report.notes)


@pytest.mark.parametrize(("low", "high"), [(0, 0), (-3.7, 12.2), (0.0001, 0.0002), (-5e9, 1), (7, 7)])
def test_an_axis_has_round_ticks(low: float, high: float) -> None:
    """It contains both values, in two to seven steps."""
    axis = nice_axis(low, high)
    assert axis.low <= low
    assert axis.high >= high
    assert 2 <= len(axis.ticks) <= 8


def test_trailing_returns_chain_the_months(filled: JobContext) -> None:
    """The year to date is January; what lies before the history is undefined, with its beginning."""
    portfolio = report_of(filled).portfolio
    found = {figure.name: figure for figure in portfolio.trailing}
    assert found["returnMonthToDate"].value == pytest.approx(portfolio.monthly[-1].months[0])
    assert found["returnYearToDate"].value == found["returnMonthToDate"].value
    assert (found["return12Months"].value, found["return12Months"].note) == (
        None, "The history begins on 2025-12-12.",
    )  # fmt: skip
    months = [value for year in portfolio.monthly for value in year.months if value is not None]
    assert (found["bestMonth"].value, found["worstMonth"].value) == (max(months), min(months))
    assert losing_days([-1, -2, 1, -1, 0, -3, -1, -1]) == 3


def test_metrics_of_a_quiet_weekend_are_shown(filled: JobContext) -> None:
    """A bot that is silent for the last two days has its risk as it was before."""
    now = NOW + timedelta(days=2)
    request = ReportRequest(from_=NOW - timedelta(days=2), to=now)
    report = build_report(filled, build_entry(request, resolve_period(request, now), "00000000", now), now)
    assert {figure.name for figure in report.accounts[0].risk} >= {"sharpeRatio", "maxDrawdown", "var95"}
