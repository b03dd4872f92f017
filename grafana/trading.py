"""How the bots do: worth, risk, trades and execution. Ratios are fractions; Grafana shows them as percent."""

from grafana.panels import Dashboard, Panel, Query, Row, Variable


def figure(name: str) -> Query:
    """Ask for a figure of the chosen bots, as reported or computed."""
    return Query(f'botwatch_bot_{name}{{bot=~"$bot", source=~"$source"}}', "{{bot}} {{source}}")


SEVERITIES = Panel(
    "Open alerts",
    [Query("max by (severity) (botwatch_alerts_open)", "{{severity}}")],
    kind="stat",
    about="Of all bots and hosts, by severity.",
    steps=((None, "green"), (1, "red")),
)

SUMMARY = Row(
    "At a glance",
    (
        Panel("Portfolio value", [figure("portfolio_value")], kind="stat", about="Account currency."),
        Panel(
            "Drawdown now",
            [figure("current_drawdown_ratio")],
            "percentunit",
            kind="stat",
            about="Below the highest worth so far.",
            steps=((None, "green"), (0.04, "yellow"), (0.1, "red")),
        ),
        Panel(
            "Silence",
            [
                Query(
                    'time() - max by (bot) (botwatch_bot_last_record_timestamp_seconds{bot=~"$bot"})',
                    "{{bot}}",
                )
            ],
            "s",
            kind="stat",
            about="Time since the latest record of any kind.",
            steps=((None, "green"), (60, "yellow"), (300, "red")),
        ),
        SEVERITIES,
    ),
    height=5,
)

WORTH = Row(
    "Worth",
    (
        Panel("Portfolio value", [figure("portfolio_value")], about="Account currency."),
        Panel(
            "Equity",
            [Query('botwatch_bot_equity{bot=~"$bot"}', "{{bot}}")],
            about="Account currency, point by point.",
        ),
        Panel(
            "Profit and loss",
            [
                Query(query.expr, f"{query.legend} {name}")
                for name in ("total", "realized", "unrealized")
                for query in [figure(f"{name}_pnl")]
            ],
            about="Account currency, net of fees; total = realised + unrealised.",
        ),
    ),
)

RISK = Row(
    "Risk",
    (
        Panel(
            "Drawdown",
            [
                Query(query.expr, f"{query.legend} {name}")
                for name in ("current", "max")
                for query in [figure(f"{name}_drawdown_ratio")]
            ],
            "percentunit",
            about="(peak - equity) / peak, positive.",
            steps=((None, "green"), (0.2, "red")),
        ),
        Panel(
            "Sharpe ratio",
            [figure("sharpe_ratio")],
            about="Mean over standard deviation of daily returns, annualised; undefined below two returns.",
        ),
        Panel(
            "Value at risk",
            [
                Query(query.expr, f"{query.legend} {name.replace('_', ' ')}")
                for name in ("var_95", "var_99", "cvar_95")
                for query in [figure(f"{name}_ratio")]
            ],
            "percentunit",
            about="Loss of one day that is exceeded on 5 % or 1 % of days; positive.",
        ),
    ),
)

TRADES = Row(
    "Trades",
    (
        Panel(
            "Win rate",
            [figure("win_rate_ratio")],
            "percentunit",
            about="Closed trades with a profit.",
        ),
        Panel(
            "Profit factor",
            [figure("profit_factor")],
            about="Gains over losses; undefined without losses.",
        ),
        Panel("Trades", [figure("total_trades")], about="Closed so far."),
    ),
)

EXECUTION = Row(
    "Execution",
    (
        Panel(
            "Slippage",
            [figure("slippage_ratio")],
            "percentunit",
            about="Price paid against the price decided on; positive is cost. 0.01 % is one basis point.",
        ),
        Panel("Order latency", [figure("order_latency_seconds")], "s"),
        Panel(
            "Fill and reject rate",
            [
                Query(query.expr, f"{query.legend} {name}")
                for name in ("fill", "reject")
                for query in [figure(f"{name}_rate_ratio")]
            ],
            "percentunit",
            about="Filled orders among those that ended; rejected among those submitted.",
        ),
    ),
)

FURTHER = Row(
    "What else the bots report",
    (
        Panel(
            "Metrics",
            [Query('botwatch_bot_metric{bot=~"$bot"}', "{{bot}} {{name}} {{unit}}")],
            about="Records of kind metric, each with a unit of its own.",
        ),
        Panel(
            "Exposure and leverage",
            [
                Query(figure("exposure_ratio").expr, "{{bot}} exposure"),
                Query(figure("leverage").expr, "{{bot}} leverage"),
            ],
            about="Net and gross notional over equity; 1 is the whole account.",
        ),
    ),
)

DASHBOARD = Dashboard(
    "trading",
    "Trading",
    (SUMMARY, WORTH, RISK, TRADES, EXECUTION, FURTHER),
    variables=(
        Variable("bot", "Bot", "label_values(botwatch_bot_last_record_timestamp_seconds, bot)"),
        Variable("source", "Source", "label_values(botwatch_bot_portfolio_value, source)"),
    ),
)
