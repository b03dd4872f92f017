"""The Trading dashboard: all metrics of the bots, reported and computed, by family.

A panel's description is the definition of its metrics. Ratios are fractions; Grafana shows them as percent.
"""

from dataclasses import replace

from grafana.panels import GrafanaDashboard, Panel, PanelQuery, Row, Steps, Variable
from shared.schema.metric_definitions import DEFINITIONS
from shared.schema.records import Performance
from shared.schema.units import BASIS_POINTS, MILLISECONDS, PERCENT, SECONDS, metric_fields

FIGURES = {figure.wire: figure for figure in metric_fields(Performance)}
UNITS = {PERCENT: "percentunit", BASIS_POINTS: "percentunit", SECONDS: "s", MILLISECONDS: "s"}
PLAIN: Steps = ((None, "green"),)


def series(wire: str, source: str = "$source") -> str:
    """Return a query for a metric of the selected bots."""
    return f'botwatch_bot_{FIGURES[wire].prometheus}{{bot=~"$bot", source=~"{source}"}}'


def panel(title: str, *wires: str, steps: Steps = PLAIN) -> Panel:
    """Return a panel of metrics of one unit: reported as solid lines, computed as dashed ones."""
    several = len(wires) > 1
    named = [(wire, DEFINITIONS[wire]) for wire in wires]
    return Panel(
        title,
        [PanelQuery(series(wire), "{{bot}} {{source}}" + f" {what.label}" * several) for wire, what in named],
        UNITS.get(FIGURES[wires[0]].unit, "short"),
        about="\n".join(f"- {what.label}: {what.text}" if several else what.text for _, what in named),
        steps=steps,
        dashed="/computed/",
    )


def percentiles(title: str, stem: str, suffix: str) -> Panel:
    """Return a panel of the 50th, 95th and 99th percentile of a metric."""
    return panel(title, *(f"{stem}P{share}{suffix}" for share in (50, 95, 99)))


def stat(title: str, wire: str, steps: Steps = PLAIN) -> Panel:
    """Return a panel of the latest value of a metric."""
    return replace(panel(title, wire, steps=steps), kind="stat")


def gap(wire: str) -> Panel:
    """Return a panel of the difference between the reported and the computed value of a metric."""
    expr = f"{series(wire, 'reported')} - ignoring (source) {series(wire, 'computed')}"
    what = DEFINITIONS[wire]
    title = f"{what.label}: reported minus computed"
    return Panel(title, [PanelQuery(expr)], UNITS.get(FIGURES[wire].unit, "short"), about=what.text)


SILENCE = Panel(
    "Last record",
    [
        PanelQuery(
            "time() - max by (bot) "
            '(botwatch_bot_last_record_timestamp_seconds{bot=~"$bot", kind!="computed"})'
        )
    ],
    "s",
    kind="stat",
    about="Time since the bot's last record of any kind.",
    steps=((None, "green"), (60, "yellow"), (300, "red")),
)

DISAGREEMENTS = Panel(
    "Disagreements",
    [PanelQuery('max by (bot) (botwatch_bot_disagreements{bot=~"$bot"})')],
    kind="stat",
    about="Number of metrics whose reported and computed values disagree; the page lists them.",
    steps=((None, "green"), (1, "yellow")),
)

SEVERITIES = Panel(
    "Open alerts",
    [PanelQuery("max by (severity) (botwatch_alerts_open)", "{{severity}}")],
    kind="stat",
    about="All bots and hosts, by severity.",
    steps=((None, "green"), (1, "red")),
)

DRAWDOWN_STEPS: Steps = ((None, "green"), (0.04, "yellow"), (0.1, "red"))

SUMMARY = Row(
    "Overview",
    (
        stat("Portfolio value", "portfolioValue"),
        stat("Total P&L", "totalPnL", ((None, "red"), (0, "green"))),
        stat("Current drawdown", "currentDrawdown", DRAWDOWN_STEPS),
        SILENCE,
        DISAGREEMENTS,
        SEVERITIES,
    ),
    height=5,
)

PROFIT = Row(
    "P&L",
    (
        panel("Portfolio value", "portfolioValue"),
        Panel(
            "Equity",
            [PanelQuery('botwatch_bot_equity{bot=~"$bot"}')],
            about="In account currency, every point.",
        ),
        panel("Profit and loss", "totalPnL", "realizedPnL", "unrealizedPnL"),
        panel("Net flows", "netFlows"),
        panel("Fees and funding", "feesPaid", "fundingPaid"),
    ),
)

RISK = Row(
    "Returns and risk",
    (
        panel("Sharpe and Sortino", "sharpeRatio", "sortinoRatio"),
        panel("Calmar", "calmarRatio"),
        panel("Annual return and volatility", "annualReturn", "volatility"),
        panel("Daily returns", "tradingDays"),
        panel("Shape of the returns", "skewness", "kurtosis", "tailRatio"),
        panel("Against the benchmark", "beta", "informationRatio"),
        panel("Alpha", "alpha"),
    ),
)

DRAWDOWN = Row(
    "Drawdown",
    (
        panel("Drawdown", "currentDrawdown", "maxDrawdown", steps=((None, "green"), (0.2, "red"))),
        panel("Drawdown duration", "drawdownDuration", "longestDrawdown"),
        panel("Ulcer index and time under water", "ulcerIndex", "timeUnderWater"),
        panel("Recovery factor", "recoveryFactor"),
    ),
)

VALUE_AT_RISK = Row(
    "Value at risk",
    (
        panel("Historical VaR and CVaR", "var95", "var99", "cvar95"),
        panel("Parametric VaR", "parametricVar95", "parametricVar99"),
        panel("In account currency", "var95Amount", "var99Amount", "cvar95Amount"),
    ),
)

TRADES = Row(
    "Trades",
    (
        panel("Win rate", "winRate"),
        panel("Profit factor and expectancy ratio", "profitFactor", "expectancyRatio"),
        panel("Expectancy", "expectancy"),
        panel("Trades", "totalTrades"),
        panel("Trade frequency", "trades24h", "tradesPerDay"),
        panel("Average trade duration", "averageTradeDuration"),
        panel("Losses in a row", "consecutiveLosses"),
        panel("Cost share", "costShare"),
        panel("Reported trades that differ", "tradeDifferences"),
    ),
    across=3,
)

EXECUTION = Row(
    "Execution",
    (
        panel("Fill and reject rate", "fillRate", "quantityFillRate", "rejectRate"),
        panel("Orders", "totalOrders", "droppedLatencies"),
        panel("Slippage, mean", "slippageBps"),
        percentiles("Slippage", "slippage", "Bps"),
        panel("Submitted to acknowledged, mean", "orderLatencyMs"),
        percentiles("Submitted to acknowledged", "orderLatency", "Ms"),
        percentiles("Acknowledged to first fill", "firstFillLatency", "Ms"),
        percentiles("Submitted to last fill", "lastFillLatency", "Ms"),
        percentiles("Submitted to cancelled", "cancelLatency", "Ms"),
        panel("Maker share", "makerShare"),
        panel("Turnover", "turnover"),
    ),
    across=3,
)

EXPOSURE = Row(
    "Exposure",
    (
        panel("Exposure", "exposure", "netExposure", "concentration"),
        panel("Leverage", "leverage"),
        panel("Open positions", "openPositions", "positionDifferences"),
        panel("Margin ratio and distance to liquidation", "marginRatio", "liquidationDistance"),
        panel("Margin used", "marginUsed"),
    ),
)

AGREEMENT = Row(
    "Reported and computed",
    (
        replace(DISAGREEMENTS, title="Disagreements", kind="timeseries", steps=PLAIN),
        gap("totalPnL"),
        gap("maxDrawdown"),
    ),
)

FURTHER = Row(
    "Custom metrics",
    (
        Panel(
            "Metrics",
            [PanelQuery('botwatch_bot_metric{bot=~"$bot"}', "{{bot}} {{name}} {{unit}}")],
            about="Records of kind `metric`, each with its own unit.",
        ),
    ),
)

DASHBOARD = GrafanaDashboard(
    "trading",
    "Trading",
    (SUMMARY, PROFIT, RISK, DRAWDOWN, VALUE_AT_RISK, TRADES, EXECUTION, EXPOSURE, AGREEMENT, FURTHER),
    variables=(
        Variable("bot", "Bot", "label_values(botwatch_bot_last_record_timestamp_seconds, bot)"),
        Variable("source", "Source", "label_values(botwatch_bot_portfolio_value, source)"),
    ),
)
