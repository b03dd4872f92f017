"""Tables of bots and alerts, as several commands print them."""

import sys
from collections.abc import Sequence
from datetime import datetime

from botwatch.cli.formatting import NONE, since, sparkline, value
from botwatch.cli.output import age, print_table, width
from botwatch.typed_json import Document

SHORT_ID = 8
WIDE = 100
"""Columns of a terminal from which on there is room for more than the necessary."""


def short_id(one: str) -> str:
    """Return the beginning of an ID for a terminal, the whole elsewhere; commands take either."""
    return one[:SHORT_ID] if sys.stdout.isatty() else one


def print_bots(bots: Sequence[Document]) -> None:
    """Print a row for each bot."""
    bars = 24 if width() >= WIDE else 12
    print_table(
        ("BOT", "VALUE>", "DAY>", "DRAWDOWN>", "ALERTS>", "LAST SEEN>", "LAST HOUR"),
        [bot_row(one, bars) for one in bots],
        empty="No bot has sent a record yet.",
    )


def bot_row(bot: Document, bars: int) -> tuple[str, ...]:
    """Return a bot's name, value, P&L of the day, drawdown, open alerts, age and equity of the last hour."""
    currency = bot.get("currency")
    return (
        str(bot["bot"]),
        value(bot.get("portfolioValue"), "account currency", currency),
        _signed(bot.get("dayReturn")),
        value(bot.get("currentDrawdown"), "percent"),
        str(bot.get("activeAlerts", 0)),
        "retired" if bot.get("retired") else age(bot.get("ageSeconds")),
        sparkline(bot.get("sparkline") or (), bars),
    )


def _signed(percent: object) -> str:
    text = value(percent, "percent")
    return f"+{text}" if isinstance(percent, int | float) and percent > 0 else text


def print_alerts(alerts: Sequence[Document], now: datetime, empty: str = "No alert matches.") -> None:
    """Print a row for each alert."""
    print_table(
        ("ID", "SEVERITY", "STATUS", "OPENED>", "BOT/HOST", "MESSAGE"),
        [alert_row(one, now) for one in alerts],
        empty=empty,
    )


def alert_row(alert: Document, now: datetime) -> tuple[str, ...]:
    """Return an alert's ID, severity, status, age, bot or host, and message."""
    return (
        short_id(alert["id"]),
        alert["severity"],
        alert_status(alert),
        age(since(alert["timestamp"], now)),
        alert["component"],
        alert["message"],
    )


def alert_status(alert: Document) -> str:
    """Return ACTIVE, ACKNOWLEDGED, RESOLVED, or MUTED for an active alert that is muted."""
    if alert["status"] == "ACTIVE" and alert["details"].get("mutedBy"):
        return "MUTED"
    return str(alert["status"]) or NONE
