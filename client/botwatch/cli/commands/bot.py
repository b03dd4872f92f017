"""`botwatch bot NAME`: one bot with its metrics, positions, trades and open alerts."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.parse import quote, urlencode

import typer

from botwatch.cli.api_command import Api, api_command
from botwatch.cli.exit_codes import OK
from botwatch.cli.formatting import Metric, clock, families, parse_duration, span, sparkline, value
from botwatch.cli.output import age, print_fields, print_line, print_table, width
from botwatch.cli.rows import print_alerts
from botwatch.typed_json import Document

KEY_METRICS = (
    *("portfolioValue", "totalPnL", "realizedPnL", "unrealizedPnL", "currentDrawdown", "maxDrawdown"),
    *("sharpeRatio", "volatility", "var95", "winRate", "profitFactor", "totalTrades", "trades24h"),
    *("fillRate", "rejectRate", "slippageP95Bps", "orderLatencyP95Ms", "exposure", "leverage", "marginRatio"),
)
SHOWN_TRADES = 5
SHOWN_POSITIONS = 20
MAX_BARS = 60

app = typer.Typer()


@app.command()
@api_command
def bot(
    api: Api,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The bot.")],
    *,
    all_metrics: Annotated[
        bool, typer.Option("--all", help="All metrics, and why one is undefined or doubtful.")
    ] = False,
    length: Annotated[str, typer.Option("--for", metavar="24h", help="Time of the equity line.")] = "24h",
) -> int:
    """Show a bot: equity, metrics, open positions, last trades and open alerts."""
    now = datetime.now(UTC)
    start = _start(length, now)
    detail = api.get(f"/api/monitoring/bots/{quote(name, safe='')}", Document)
    if api.as_json:
        api.print_json(detail)
        return OK
    performance = detail["performance"]
    _print_head(detail, now, f"equity {length}", _equity(api, name, start))
    print()
    if all_metrics:
        _print_all_metrics(performance)
    else:
        _print_key_metrics(performance)
    _print_positions(api, name)
    _print_trades(api, name, now)
    print()
    print_alerts(detail["alerts"], now, empty="No alert is open.")
    return OK


def _start(length: str, now: datetime) -> datetime:
    try:
        return now - max(parse_duration(length), timedelta(minutes=1))
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(str(error), param_hint="--for") from error


def _print_head(detail: Document, now: datetime, title: str, equity: str) -> None:
    performance = detail["performance"]
    event = performance.get("lastEvent")
    print_line(str(detail["bot"]))
    print_fields(
        {
            "last seen": "retired" if performance.get("retired") else age(performance.get("ageSeconds")),
            "heartbeat": performance.get("heartbeatStatus"),
            "history since": clock(detail.get("firstAt"), now),
            "labels": ", ".join(f"{name}={text}" for name, text in detail["labels"].items()),
            "last event": event and f"{clock(event['timestamp'], now)} {event['title']}",
            title: equity,
            "warnings": " ".join(one["text"] for one in performance.get("warnings", ())),
        }
    )


def _equity(api: Api, name: str, start: datetime) -> str:
    """Return a bot's equity since `start` as bars, between its lowest and its highest."""
    query = urlencode({"bot": name, "from": start.strftime("%Y-%m-%dT%H:%M:%SZ")})
    closes = [one["close"] for one in api.get(f"/api/monitoring/equity?{query}", Document)["points"]]
    if not closes:
        return ""
    low, high = value(min(closes), "account currency"), value(max(closes), "account currency")
    bars = sparkline(closes, max(10, min(MAX_BARS, width() - len(low) - len(high) - 20)))
    return f"{low} {bars} {high}"


def _print_key_metrics(performance: Document) -> None:
    by_name = {one.name: one for metrics in families().values() for one in metrics}
    rows = [_metric_row(performance, by_name[name]) for name in KEY_METRICS]
    half = (len(rows) + 1) // 2
    print_table(
        ("METRIC", "VALUE>", "METRIC", "VALUE>"),
        [(*left[:2], *right[:2]) for left, right in zip(rows[:half], rows[half:], strict=True)],
        empty="",
    )


def _print_all_metrics(performance: Document) -> None:
    print_table(
        ("FAMILY", "METRIC", "VALUE>", "NOTE"),
        [
            (family, *_metric_row(performance, metric))
            for family, metrics in families().items()
            for metric in metrics
        ],
        empty="",
    )


def _metric_row(performance: Document, metric: Metric) -> tuple[str, str, str]:
    """Return a metric's label, its value, and what is to be known of it."""
    name, currency = metric.name, performance.get("currency")
    notes = []
    if undefined := performance.get("undefined", {}).get(name):
        notes.append(undefined.get("text") or undefined["reason"])
    if samples := performance.get("lowConfidence", {}).get(name):
        notes.append(f"Low confidence: {samples} samples.")
    if different := performance.get("differences", {}).get(name):
        notes.append(f"Computed: {value(different['computed'], metric.unit, currency)}.")
    return metric.label, value(performance.get(name), metric.unit, currency), " ".join(notes)


def _print_positions(api: Api, name: str) -> None:
    query = urlencode({"bot": name, "limit": SHOWN_POSITIONS})
    found = api.get(f"/api/monitoring/positions?{query}", Document)
    print()
    print_table(
        ("POSITION", "SIDE", "QUANTITY>", "ENTRY>", "MARK>", "UNREALISED P&L>", "OPEN FOR>"),
        [
            (
                one["symbol"],
                one["side"],
                value(one["quantity"]),
                _price(one["entryPrice"]),
                _price(one["markPrice"]),
                value(one["unrealizedPnL"], "account currency", one["currency"]),
                span(one["ageSeconds"]),
            )
            for one in found["positions"]
        ],
        empty="No position is open.",
    )
    if found["count"] > len(found["positions"]):
        print_line(f"{found['count'] - len(found['positions'])} more positions are open.")


def _print_trades(api: Api, name: str, now: datetime) -> None:
    query = urlencode({"bot": name, "limit": SHOWN_TRADES})
    found = api.get(f"/api/monitoring/trades?{query}", Document)
    print()
    print_table(
        ("TRADE", "SIDE", "CLOSED>", "LASTED>", "ENTRY>", "EXIT>", "P&L>"),
        [
            (
                one["symbol"],
                one["side"],
                clock(one["closedAt"], now),
                span(one["durationSeconds"]),
                _price(one["entryPrice"]),
                _price(one["exitPrice"]),
                value(one["pnl"], "account currency", one["currency"]),
            )
            for one in found["trades"]
        ],
        empty="No trade is closed.",
    )


def _price(number: float | None) -> str:
    """Return a price with its digits: `1.1734`, `64,250.5`."""
    return value(None) if number is None else f"{number:,.8g}"
