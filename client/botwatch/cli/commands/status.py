"""`botwatch status`: how everything is, in one answer."""

from datetime import datetime

import typer

from botwatch.cli.api_command import Api, api_command
from botwatch.cli.exit_codes import FAILED, OK
from botwatch.cli.formatting import value
from botwatch.cli.output import count, print_line
from botwatch.cli.rows import print_alerts, print_bots
from botwatch.typed_json import Document

app = typer.Typer()


@app.command()
@api_command
def status(api: Api) -> int:
    """Show the overall status with its reasons, the bots and the open alerts; exit code 1 unless HEALTHY."""
    summary = api.get("/api/monitoring/summary", Document)
    if api.as_json:
        api.print_json(summary)
    else:
        _print_status(api, summary)
    return OK if summary["status"] == "HEALTHY" else FAILED


def _print_status(api: Api, summary: Document) -> None:
    now = datetime.fromisoformat(summary["timestamp"])
    money = value(summary.get("portfolioValue"), "account currency", summary.get("currency"))
    counts = (
        count(summary["bots"], "bot"),
        count(summary["hosts"], "host"),
        count(summary["activeAlerts"], "open alert"),
    )
    print_line(f"{summary['status']}  {', '.join(counts)}, portfolio {money}", style_of=summary["status"])
    for reason in summary["reasons"]:
        print_line(f"  - {reason}")
    for handled in summary["handled"]:
        print_line(f"  - handled: {handled}")
    if warning := summary["access"]["warning"]:
        print_line(f"  - {warning}")
    print()
    print_bots(api.get("/api/monitoring/bots", list[Document]))
    if summary["activeAlerts"]:
        print()
        alerts = api.get("/api/monitoring/alerts?status=ACTIVE,ACKNOWLEDGED&limit=20", list[Document])
        print_alerts(alerts, now)
        if summary["activeAlerts"] > len(alerts):
            print_line(f"The newest {len(alerts)} are listed; `botwatch alerts list --limit 1000` has more.")
