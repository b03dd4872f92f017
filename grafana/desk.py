"""Desk overview: how all bots do at this moment, and which of them needs a look. Grafana's home."""

from grafana_foundation_sdk.builders import timeseries

from grafana.alerts import open_alerts
from grafana.bots import (
    NO_FIGURE,
    age,
    definitions,
    figure_look,
    figure_unit,
    one_per_bot,
)
from grafana.builders import (
    COUNT,
    RATIO,
    SECONDS,
    Board,
    Column,
    Look,
    Query,
    Row,
    alert_annotation,
    bot_variables,
    event_annotation,
    latest_table,
    single_stat,
    time_series,
)
from grafana.limits import ANY_IS_BAD, PLAIN, Limits, rule_limits

SELECTED = 'bot=~"$bot"'
SMALL = 4
P_AND_L_OF_A_DAY = (
    'delta(botwatch_bot_total_pnl{bot=~"$bot", source="computed"}[1d])'
    ' / botwatch_bot_portfolio_value{bot=~"$bot", source="computed"}'
)
"""As the rule `daily-loss` has it."""


def _column(title: str, wire: str, limits: Limits = PLAIN) -> Column:
    look = figure_look(wire, limits)
    return Column(title, one_per_bot(wire), figure_unit(wire), look.limits, look.decimals)


def _graph_per_bot(title: str, wire: str, limits: Limits = PLAIN, width: int = 12) -> timeseries.Panel:
    return time_series(title, definitions(wire), [Query(one_per_bot(wire))], figure_look(wire, limits, width))


NOW = Row(
    "Now",
    (
        single_stat(
            "Bots",
            "Bots of this selection that Botwatch has seen in the last day.",
            [Query(f"count(count by (bot) (botwatch_bot_last_record_timestamp_seconds{{{SELECTED}}}))", "")],
            Look(width=SMALL, height=4, decimals=0, empty="No bot yet: docs/bots.md says how one reports."),
        ),
        single_stat(
            "Bots with alerts",
            "Bots of this selection with at least one open alert.",
            [Query(f"count(count by (bot) (botwatch_alert_firing{{{SELECTED}}})) or vector(0)", "")],
            Look(limits=ANY_IS_BAD, width=SMALL, height=4, decimals=0),
        ),
        open_alerts(8),
        single_stat(
            "Longest without heartbeat",
            "The bot of this selection that has sent no heartbeat for the longest time.",
            [Query(f"max({age('heartbeat')})", "")],
            Look(
                SECONDS,
                rule_limits("heartbeat-missing"),
                "No heartbeats: bots send them with the client or POST /api/v1/records (docs/bots.md).",
                width=SMALL,
                height=4,
            ),
        ),
        single_stat(
            "Parts of Botwatch down",
            "Parts that Prometheus cannot reach; the dashboard Botwatch itself names them.",
            [Query('count(up{app="botwatch"}) - sum(up{app="botwatch"})', "")],
            Look(limits=ANY_IS_BAD, width=SMALL, height=4, decimals=0),
        ),
        latest_table(
            "Bots",
            "One row per bot: computed values, or reported ones where nothing is computed. Money in the"
            " account's currency. Colours are the thresholds of the shipped rules.",
            {"bot": "Bot", "venue": "Venue", "strategy": "Strategy"},
            (
                Column("", f"max by (bot, venue, strategy) (botwatch_bot_info{{{SELECTED}}})"),
                Column("Alerts", f"count by (bot) (botwatch_alert_firing{{{SELECTED}}})", COUNT, ANY_IS_BAD),
                _column("Portfolio value", "portfolioValue"),
                _column("Total P&L", "totalPnL"),
                Column(
                    "P&L 24 h", f"max by (bot) ({P_AND_L_OF_A_DAY})", RATIO, rule_limits("daily-loss", 0.01)
                ),
                _column("Drawdown", "currentDrawdown", rule_limits("current-drawdown")),
                _column("Leverage", "leverage", rule_limits("leverage")),
                _column("Positions", "openPositions"),
                _column("Trades 24 h", "trades24h"),
                _column("Win rate", "winRate"),
                _column("Slippage", "slippageBps", rule_limits("slippage")),
                Column("Last record", age(), SECONDS),
            ),
            Look(width=24, height=9, empty="No bot yet: docs/bots.md says how one reports."),
            ("Bot detail", "/d/botwatch-bot?var-bot=${__data.fields.Bot}&${__url_time_range}"),
        ),
    ),
    collapsed=False,
)

MONEY_AND_DRAWDOWN = Row(
    "Equity and drawdown",
    (
        _graph_per_bot("Portfolio value", "portfolioValue"),
        _graph_per_bot("Drawdown", "currentDrawdown", rule_limits("current-drawdown")),
        _graph_per_bot("Total P&L", "totalPnL"),
        time_series(
            "P&L over 24 hours",
            "Change of the total P&L as a share of the account. It needs two samples of the last 24 hours.",
            [Query(P_AND_L_OF_A_DAY)],
            Look(RATIO, rule_limits("daily-loss", 0.01), NO_FIGURE, width=12),
        ),
    ),
    collapsed=False,
)

RISK = Row(
    "Risk",
    (
        _graph_per_bot("Leverage", "leverage", rule_limits("leverage"), width=8),
        _graph_per_bot("Exposure", "exposure", width=8),
        _graph_per_bot("Value at risk, 95%", "var95", width=8),
        _graph_per_bot("Margin ratio", "marginRatio", rule_limits("margin-ratio")),
        _graph_per_bot("Distance to liquidation", "liquidationDistance", rule_limits("liquidation-near")),
    ),
)

TRADING = Row(
    "Trading",
    (
        _graph_per_bot("Trades in 24 hours", "trades24h", rule_limits("no-trades"), width=8),
        _graph_per_bot("Win rate", "winRate", rule_limits("win-rate-collapse"), width=8),
        _graph_per_bot("Profit factor", "profitFactor", rule_limits("profit-factor"), width=8),
        time_series(
            "Time since the last record",
            "Of any kind that the bot sent itself.",
            [Query(age())],
            Look(SECONDS, rule_limits("bot-silent"), width=24),
        ),
    ),
)

BOARD = Board(
    "desk",
    "Desk overview",
    "All bots: what they are worth, how they do, and which of them needs a look.",
    (NOW, MONEY_AND_DRAWDOWN, RISK, TRADING),
    page="/",
    variables=bot_variables(),
    annotations=(alert_annotation(SELECTED), event_annotation(SELECTED)),
)
