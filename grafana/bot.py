"""Bot detail: everything about one bot; reported values as solid lines, computed ones as dashed ones."""

from grafana_foundation_sdk.builders import timeseries

from grafana.bots import (
    NO_REPORT,
    age,
    definitions,
    figure_look,
    figure_panel,
    figure_series,
    figure_stat,
)
from grafana.builders import (
    COUNT,
    MONEY,
    NUMBER,
    SECONDS,
    Board,
    Column,
    Look,
    Query,
    Row,
    alert_annotation,
    bot_variables,
    event_annotation,
    label_variable,
    latest_table,
    single_stat,
    time_series,
)
from grafana.limits import ANY_IS_BAD, SIGN, rule_limits
from shared.schema.metric_definitions import DEFINITIONS

SELECTED = 'bot=~"$bot"'
DISAGREEMENTS = "Metrics whose reported and computed values differed in two comparisons in a row."
COMPARED = ("portfolioValue", "totalPnL", "sharpeRatio", "maxDrawdown", "winRate", "totalTrades")

NOW = Row(
    "Now",
    (
        figure_stat("Portfolio value", "portfolioValue", legend=""),
        figure_stat("Total P&L", "totalPnL", SIGN, legend=""),
        figure_stat("Drawdown", "currentDrawdown", rule_limits("current-drawdown"), legend=""),
        single_stat(
            "Time since the last heartbeat",
            "Empty if the bot sends none.",
            [Query(age("heartbeat"), "")],
            Look(
                SECONDS, rule_limits("heartbeat-missing"), "The bot sends no heartbeats.", width=4, height=5
            ),
        ),
        single_stat(
            "Disagreements",
            DISAGREEMENTS,
            [Query(f"max({figure_series('disagreements', '.*')}) or vector(0)", "")],
            Look(limits=rule_limits("disagreements"), width=4, height=5, decimals=0),
        ),
        single_stat(
            "Open alerts",
            "Alerts on this bot that are not resolved.",
            [Query(f"count(botwatch_alert_firing{{{SELECTED}}}) or vector(0)", "")],
            Look(limits=ANY_IS_BAD, width=4, height=5, decimals=0),
        ),
    ),
    collapsed=False,
)

EQUITY = Row(
    "Equity and drawdown",
    (
        time_series(
            "Equity",
            "Every point that the bot sent, and the portfolio value of its metrics. "
            + definitions("portfolioValue"),
            [
                Query(f"botwatch_bot_equity{{{SELECTED}}}", "equity"),
                Query(figure_series("portfolioValue"), "portfolio value {{source}}"),
            ],
            figure_look("portfolioValue", width=12),
            dashed="/computed/",
        ),
        figure_panel(
            "Drawdown", "currentDrawdown", limits=rule_limits("current-drawdown"), width=12, per_bot=False
        ),
        figure_panel("Profit and loss", "totalPnL", "realizedPnL", "unrealizedPnL", per_bot=False),
        figure_panel("Maximum drawdown", "maxDrawdown", limits=rule_limits("drawdown"), per_bot=False),
        figure_panel("Fees and funding", "feesPaid", "fundingPaid", per_bot=False),
    ),
    collapsed=False,
)

EXPOSURE = Row(
    "Exposure and positions",
    (
        latest_table(
            "Open positions",
            "The largest 1,000 of all bots, in the account's currency; notional and P&L are empty where a"
            " price or a rate is missing.",
            {"symbol": "Symbol", "side": "Side"},
            (
                Column(
                    "Quantity",
                    f"max by (symbol, side) (botwatch_bot_position_quantity{{{SELECTED}}})",
                ),
                Column(
                    "Notional",
                    f"max by (symbol, side) (botwatch_bot_position_notional{{{SELECTED}}})",
                    MONEY,
                    decimals=2,
                ),
                Column(
                    "Unrealised P&L",
                    f"max by (symbol, side) (botwatch_bot_position_unrealized_pnl{{{SELECTED}}})",
                    MONEY,
                    decimals=2,
                ),
            ),
            Look(width=12, empty="No open position."),
        ),
        figure_panel("Exposure", "exposure", "netExposure", "concentration", width=12, per_bot=False),
        figure_panel("Leverage", "leverage", limits=rule_limits("leverage"), per_bot=False),
        figure_panel("Margin ratio", "marginRatio", limits=rule_limits("margin-ratio"), per_bot=False),
        figure_panel(
            "Distance to liquidation",
            "liquidationDistance",
            limits=rule_limits("liquidation-near"),
            per_bot=False,
        ),
        figure_panel("Margin used", "marginUsed", per_bot=False),
        figure_panel("Number of positions", "openPositions", per_bot=False),
        figure_panel(
            "Positions that differ from the broker's",
            "positionDifferences",
            limits=rule_limits("position-differences"),
            per_bot=False,
        ),
    ),
)

RETURNS = Row(
    "Returns and risk",
    (
        figure_panel("Sharpe and Sortino", "sharpeRatio", "sortinoRatio", per_bot=False),
        figure_panel("Calmar and recovery factor", "calmarRatio", "recoveryFactor", per_bot=False),
        figure_panel("Annual return and volatility", "annualReturn", "volatility", per_bot=False),
        figure_panel("Historical VaR and CVaR", "var95", "var99", "cvar95", per_bot=False),
        figure_panel("Parametric VaR", "parametricVar95", "parametricVar99", per_bot=False),
        figure_panel("VaR in money", "var95Amount", "var99Amount", "cvar95Amount", per_bot=False),
        figure_panel("Shape of the returns", "skewness", "kurtosis", "tailRatio", per_bot=False),
        figure_panel("Beta and information ratio", "beta", "informationRatio", per_bot=False),
        figure_panel("Alpha", "alpha", per_bot=False),
        figure_panel("Drawdown duration", "drawdownDuration", "longestDrawdown", per_bot=False),
        figure_panel("Ulcer index and time under water", "ulcerIndex", "timeUnderWater", per_bot=False),
        figure_panel("Daily returns", "tradingDays", per_bot=False),
        figure_panel("Net flows", "netFlows", per_bot=False),
    ),
)

TRADES = Row(
    "Trades",
    (
        figure_panel("Win rate", "winRate", limits=rule_limits("win-rate-collapse"), per_bot=False),
        figure_panel("Profit factor", "profitFactor", limits=rule_limits("profit-factor"), per_bot=False),
        figure_panel("Expectancy", "expectancy", per_bot=False),
        figure_panel("Expectancy ratio", "expectancyRatio", per_bot=False),
        figure_panel("Trades", "totalTrades", per_bot=False),
        figure_panel("Trades in 24 hours", "trades24h", limits=rule_limits("no-trades"), per_bot=False),
        figure_panel("Trades per day", "tradesPerDay", per_bot=False),
        figure_panel("Average trade duration", "averageTradeDuration", per_bot=False),
        figure_panel("Losses in a row", "consecutiveLosses", per_bot=False),
    ),
)


def _gap(wire: str) -> timeseries.Panel:
    """Return a graph of the difference between the reported and the computed value of a metric."""
    expr = f"{figure_series(wire, 'reported')} - ignoring (source) {figure_series(wire, 'computed')}"
    look = figure_look(wire)
    label = DEFINITIONS[wire].label
    about = f"Above zero the bot reports more than Botwatch computes from its events. {definitions(wire)}"
    return time_series(
        f"{label}: reported minus computed", about, [Query(expr, label)],
        Look(look.unit, empty=NO_REPORT, decimals=look.decimals),
    )  # fmt: skip


AGREEMENT = Row(
    "Reported against computed",
    (
        time_series(
            "Disagreements",
            DISAGREEMENTS + " The page lists them.",
            [Query(figure_series("disagreements", ".*"), "disagreements")],
            Look(COUNT, rule_limits("disagreements"), NO_REPORT, 0, width=12),
        ),
        figure_panel(
            "Reported trades that differ",
            "tradeDifferences",
            limits=rule_limits("trade-differences"),
            width=12,
            per_bot=False,
        ),
        *(_gap(wire) for wire in COMPARED),
    ),
)

FURTHER = Row(
    "Custom metrics",
    (
        time_series(
            "Metrics that the bot defines",
            "Records of kind `metric`, each in its own unit, which the legend names.",
            [Query(f"botwatch_bot_metric{{{SELECTED}}}", "{{name}} {{unit}}")],
            Look(NUMBER, empty="No data: the bot sends no records of kind metric.", width=24),
        ),
    ),
)

BOARD = Board(
    "bot",
    "Bot detail",
    "One bot: equity, drawdown, risk, trades, and what it reports against what Botwatch computes.",
    (NOW, EQUITY, EXPOSURE, RETURNS, TRADES, AGREEMENT, FURTHER),
    page="/bots/${bot}",
    variables=(
        *bot_variables(several=False),
        label_variable(
            "source",
            "Source",
            'label_values(botwatch_bot_portfolio_value{bot=~"$bot"}, source)',
            "Values that the bot reports, or that Botwatch computes from its events.",
            any_value=True,
        ),
    ),
    annotations=(alert_annotation(SELECTED), event_annotation(SELECTED)),
)
