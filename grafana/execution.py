"""Execution quality: what orders cost, how long they take, how many are filled."""

from grafana.bots import (
    BASIS_POINTS_PER_ONE,
    NO_FIGURE,
    definitions,
    figure_panel,
    figure_stat,
    percentiles_panel,
)
from grafana.builders import (
    BASIS_POINTS,
    Board,
    Look,
    Query,
    Row,
    alert_annotation,
    bot_variables,
    event_annotation,
    label_variable,
    single_stat,
)
from grafana.limits import rule_limits

SELECTED = 'bot=~"$bot"'
RECENT_SLIPPAGE = (
    f'avg_over_time(botwatch_bot_slippage_ratio{{{SELECTED}, source=~"$source"}}[5m])'
    f" * {BASIS_POINTS_PER_ONE:.0f}"
)
"""As the rule `slippage` has it."""

NOW = Row(
    "Now",
    (
        single_stat(
            "Slippage, mean of 5 minutes",
            definitions("slippageBps") + " Positive where it costs money.",
            [Query(f"max by (bot) ({RECENT_SLIPPAGE})")],
            Look(BASIS_POINTS, rule_limits("slippage").times(BASIS_POINTS_PER_ONE), NO_FIGURE, 2, 6, 5),
        ),
        figure_stat("Order latency p95", "orderLatencyP95Ms", rule_limits("order-latency"), width=6),
        figure_stat("Reject rate", "rejectRate", rule_limits("reject-rate"), width=6),
        figure_stat("Fill rate", "fillRate", width=6),
    ),
    collapsed=False,
)

COSTS = Row(
    "Slippage and costs",
    (
        figure_panel("Slippage, mean", "slippageBps", limits=rule_limits("slippage"), width=12),
        percentiles_panel("Slippage, percentiles", "slippage", "Bps", width=12),
        figure_panel("Costs as a share of the gross profit", "costShare"),
        figure_panel("Maker share", "makerShare"),
        figure_panel("Turnover per day", "turnover"),
    ),
    collapsed=False,
)

LATENCY = Row(
    "Latency of orders",
    (
        figure_panel(
            "Submitted to acknowledged, p95", "orderLatencyP95Ms", limits=rule_limits("order-latency")
        ),
        figure_panel("Submitted to acknowledged, mean", "orderLatencyMs"),
        percentiles_panel("Submitted to acknowledged, percentiles", "orderLatency", "Ms"),
        percentiles_panel("Acknowledged to first fill", "firstFillLatency", "Ms"),
        percentiles_panel("Submitted to last fill", "lastFillLatency", "Ms"),
        percentiles_panel("Submitted to cancelled", "cancelLatency", "Ms"),
        figure_panel("Latencies left out", "droppedLatencies", width=24),
    ),
)

ORDERS = Row(
    "Orders",
    (
        figure_panel("Fill rates", "fillRate", "quantityFillRate"),
        figure_panel("Reject rate", "rejectRate", limits=rule_limits("reject-rate")),
        figure_panel("Orders", "totalOrders"),
    ),
)

BOARD = Board(
    "execution",
    "Execution quality",
    "What orders cost, how long they take, and how many are filled or rejected.",
    (NOW, COSTS, LATENCY, ORDERS),
    page="/",
    variables=(
        *bot_variables(),
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
