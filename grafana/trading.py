"""How the bots do, family by family, as they report it and as it is computed.

What a panel says of its figures is their definition; ratios are fractions, which Grafana shows as percent.
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
    """Ask for a figure of the chosen bots."""
    return f'botwatch_bot_{FIGURES[wire].prometheus}{{bot=~"$bot", source=~"{source}"}}'


def panel(title: str, *wires: str, steps: Steps = PLAIN) -> Panel:
    """Show figures of one unit, reported ones drawn through and computed ones dashed."""
    several = len(wires) > 1
    named = [(wire, DEFINITIONS[wire]) for wire in wires]
    return Panel(
        title,
        [PanelQuery(series(wire), "{{bot}} {{source}}" + f" {one.label}" * several) for wire, one in named],
        UNITS.get(FIGURES[wires[0]].unit, "short"),
        about="\n".join(f"- {one.label}: {one.text}" if several else one.text for _, one in named),
        steps=steps,
        dashed="/computed/",
    )


def percentiles(title: str, stem: str, suffix: str) -> Panel:
    """Show the 50th, 95th and 99th percentile of a figure."""
    return panel(title, *(f"{stem}P{share}{suffix}" for share in (50, 95, 99)))


def stat(title: str, wire: str, steps: Steps = PLAIN) -> Panel:
    """Show the latest value of a figure."""
    return replace(panel(title, wire, steps=steps), kind="stat")


def gap(wire: str) -> Panel:
    """Show by how much a figure is reported above what is computed."""
    expr = f"{series(wire, 'reported')} - ignoring (source) {series(wire, 'computed')}"
    what = DEFINITIONS[wire]
    title = f"{what.label}: reported minus computed"
    return Panel(title, [PanelQuery(expr)], UNITS.get(FIGURES[wire].unit, "short"), about=what.text)


SILENCE = Panel(
    "Silence",
    [
        PanelQuery(
            "time() - max by (bot) "
            '(botwatch_bot_last_record_timestamp_seconds{bot=~"$bot", kind!="computed"})'
        )
    ],
    "s",
    kind="stat",
    about="Time since the bot's latest record of any kind.",
    steps=((None, "green"), (60, "yellow"), (300, "red")),
)

DISAGREEMENTS = Panel(
    "Disagreements",
    [PanelQuery('max by (bot) (botwatch_bot_disagreements{bot=~"$bot"})')],
    kind="stat",
    about="How many figures the bot reports otherwise than they are computed; the page names them.",
    steps=((None, "green"), (1, "yellow")),
)

SEVERITIES = Panel(
    "Open alerts",
    [PanelQuery("max by (severity) (botwatch_alerts_open)", "{{severity}}")],
    kind="stat",
    about="Of all bots and hosts, by severity.",
    steps=((None, "green"), (1, "red")),
)

DRAWDOWN_STEPS: Steps = ((None, "green"), (0.04, "yellow"), (0.1, "red"))

SUMMARY = Row(
    "At a glance",
    (
        stat("Portfolio value", "portfolioValue"),
        stat("Total P&L", "totalPnL", ((None, "red"), (0, "green"))),
        stat("Drawdown now", "currentDrawdown", DRAWDOWN_STEPS),
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
            about="Account currency, point by point.",
        ),
        panel("Profit and loss", "totalPnL", "realizedPnL", "unrealizedPnL"),
        panel("Net flows", "netFlows"),
    ),
)

RISK = Row(
    "Returns and risk",
    (
        panel("Sharpe and Sortino", "sharpeRatio", "sortinoRatio"),
        panel("Calmar", "calmarRatio"),
        panel("Annual return and volatility", "annualReturn", "volatility"),
        panel("Daily returns", "tradingDays"),
    ),
)

DRAWDOWN = Row(
    "Drawdown",
    (
        panel("Drawdown", "currentDrawdown", "maxDrawdown", steps=((None, "green"), (0.2, "red"))),
        panel("Drawdown duration", "drawdownDuration", "longestDrawdown"),
    ),
)

VALUE_AT_RISK = Row(
    "Value at risk",
    (
        panel("Historical VaR and CVaR", "var95", "var99", "cvar95"),
        panel("Parametric VaR", "parametricVar95", "parametricVar99"),
        panel("In money", "var95Amount", "var99Amount", "cvar95Amount"),
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
        panel("Average trade", "averageTradeDuration"),
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
    ),
    across=3,
)

EXPOSURE = Row(
    "Exposure",
    (panel("Exposure", "exposure", "netExposure"), panel("Leverage", "leverage")),
)

AGREEMENT = Row(
    "Reported against computed",
    (
        replace(DISAGREEMENTS, title="Figures that differ", kind="timeseries", steps=PLAIN),
        gap("totalPnL"),
        gap("maxDrawdown"),
    ),
)

FURTHER = Row(
    "What else the bots report",
    (
        Panel(
            "Metrics",
            [PanelQuery('botwatch_bot_metric{bot=~"$bot"}', "{{bot}} {{name}} {{unit}}")],
            about="Records of kind metric, each with a unit of its own.",
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
