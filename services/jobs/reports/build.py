"""Builds a report: reads, then puts the struct together."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from services.jobs.context import JobContext
from services.jobs.reports.read_operations import Operations, read_dashboard, read_operations
from services.jobs.reports.read_trading import TradingData, read_trading
from services.jobs.reports.recommendations import recommend
from services.jobs.reports.trading import account_report, with_metrics
from shared.schema.reports import AccountReport, BotRow, Report, ReportEntry
from shared.version import VERSION

MAX_DETAILED = 25
"""Bots with sections of their own; of more, the largest by equity."""
ROW_FIGURES = (
    *("portfolioValue", "totalPnL", "totalReturn", "maxDrawdown"),
    *("trades", "winRate", "profitFactor", "fees"),
)
"""In the table of all bots."""
PORTFOLIO = "portfolio"


def build_report(context: JobContext, entry: ReportEntry, now: datetime) -> Report:
    """Return the report that `entry` asks for, with its recommendations."""
    period = entry.period
    analytics = context.documents.performance.analytics
    trading = read_trading(context.performance, analytics, period, entry.bots, MAX_DETAILED)
    accounts = bot_reports(trading)
    portfolio = portfolio_report(trading)
    operations = read_operations(context.health, period, entry.bots) if entry.kind == "monitoring" else None
    worth = next((one.value for one in portfolio.figures if one.name == "portfolioValue"), None)
    report = Report(
        report_id=entry.report_id,
        title=entry.title,
        kind=entry.kind,
        generated_at=now,
        version=VERSION,
        period=period,
        requested_bots=entry.bots,
        dashboard=read_dashboard(context, now, len(trading.bots), (worth, portfolio.currency)),
        portfolio=portfolio,
        bots=[bot_row(account) for account in accounts],
        accounts=_detailed(trading, accounts),
        incidents=operations.incidents if operations else None,
        on_call=operations.on_call if operations else None,
        checks=operations.checks if operations else [],
        hosts=operations.hosts if operations else [],
        notes=_notes(trading, operations),
    )
    return msgspec.structs.replace(report, recommendations=recommend(report))


def bot_reports(trading: TradingData) -> list[AccountReport]:
    """Return the report of each bot, in its own currency."""
    return [
        with_metrics(
            account_report(bot.name, bot.currency, [bot.account], [bot.daily], [bot.trades], trading.scale),
            bot,
        )
        for bot in trading.bots
    ]


def portfolio_report(trading: TradingData) -> AccountReport:
    """Return the report of all bots as one account; without figures where they have no common currency."""
    if trading.reason:
        return AccountReport(name=PORTFOLIO, reason=trading.reason)
    return account_report(
        PORTFOLIO,
        trading.currency,
        trading.portfolio,
        trading.portfolio_daily,
        trading.portfolio_trades,
        trading.scale,
    )


def bot_row(account: AccountReport) -> BotRow:
    """Return a bot's row in the table of all bots."""
    figures = [one for one in account.figures if one.name in ROW_FIGURES]
    return BotRow(bot=account.name, currency=account.currency, figures=figures)


def _detailed(trading: TradingData, accounts: Sequence[AccountReport]) -> list[AccountReport]:
    if len(accounts) <= MAX_DETAILED:
        return list(accounts)
    kept = {bot.name for bot in trading.bots if bot.now is not None}
    return [account for account in accounts if account.name in kept][:MAX_DETAILED]


def _notes(trading: TradingData, operations: Operations | None) -> list[str]:
    """Return which limits were reached, and how coarse the figures are."""
    width = int(trading.scale.periods.steps.width.total_seconds() // 60)
    step = f"{width // 60} h" if width % 60 == 0 else f"{width} min"
    notes = [f"Returns and drawdowns of the period are from equity every {step}; figures of risk are not."]
    if len(trading.bots) > MAX_DETAILED:
        notes.append(
            f"Bots: the {MAX_DETAILED} largest of {len(trading.bots)} have a section of their own; "
            "all are in the table and in the portfolio."
        )
    return [*notes, *trading.notes, *(operations.notes if operations else ())]
