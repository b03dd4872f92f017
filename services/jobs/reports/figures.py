"""Figures of reports: their labels and units. Pure."""

from shared.schema.formatting import metric_label, unit_of_metric
from shared.schema.reports import (
    Figure,
)
from shared.schema.units import PERCENT, Unit

_PERCENTAGES = {
    "totalReturn", "bestDay", "worstDay", "positiveDays", "returnMonthToDate", "return3Months",
    "return6Months", "returnYearToDate", "return12Months", "bestMonth", "worstMonth",
}  # fmt: skip
"""Figures that are no metric of a record, in percent."""
_LABELS = {
    "netFlows": "Deposits − withdrawals", "totalReturn": "Return", "totalPnL": "P&L",
    "maxDrawdown": "Deepest drawdown", "currentDrawdown": "Drawdown at the end",
    "portfolioValue": "Equity at the end", "bestDay": "Best day", "worstDay": "Worst day",
    "positiveDays": "Days with a gain", "losingDays": "Losing days in a row",
    "returnMonthToDate": "Month to date", "return3Months": "3 months", "return6Months": "6 months",
    "returnYearToDate": "Year to date", "return12Months": "12 months", "bestMonth": "Best month",
    "worstMonth": "Worst month", "tradingDays": "Daily returns", "trades": "Closed trades",
    "tradePnL": "P&L of closed trades", "winRate": "Win rate", "profitFactor": "Profit factor",
    "averageWin": "Average win", "averageLoss": "Average loss", "payoffRatio": "Payoff ratio",
    "expectancy": "Expectancy", "fees": "Fees paid", "funding": "Funding paid",
}  # fmt: skip


def figure(
    name: str, value: float | None, previous: float | None = None, *, unit: Unit | None = None, note: str = ""
) -> Figure:
    """Return a figure under its label and unit."""
    scale = unit or (PERCENT if name in _PERCENTAGES else unit_of_metric(name))
    label = _LABELS.get(name) or metric_label(name)
    return Figure(name=name, label=label, unit=scale.name, value=value, previous=previous, note=note)


def low_confidence_note(n: int) -> str:
    """Return the note of a figure that few daily returns are behind."""
    return f"Low confidence: only {n} daily return{'' if n == 1 else 's'}."
