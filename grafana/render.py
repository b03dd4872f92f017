"""`python -m grafana.render FOLDER`: a picture of each dashboard from a Prometheus, without Grafana.

`--prometheus` is its URL, by default that of the compose stack.
"""

import argparse
import json
import time
from pathlib import Path

from grafana import queries
from grafana.generate import FOLDER
from grafana.panel_drawings import Results
from grafana.picture import draw_dashboard
from grafana.queries import Json, PrometheusClient

PROMETHEUS = "http://localhost:9091"
POINTS = 300


def render(folder: Path, prometheus: str, range_s: int, bot: str = "") -> list[str]:
    """Write FOLDER/NAME.png for each dashboard; return a line on each: panels, queries, queries with data.

    `bot` is the one that Bot detail shows, by default the first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    client = PrometheusClient(prometheus, time.time(), range_s, max(1, range_s // POINTS))
    lines = []
    for path in sorted(FOLDER.glob("*.json")):
        dashboard: Json = json.loads(path.read_text(encoding="utf-8"))
        values = selection(dashboard, client, bot)
        results = run_dashboard(dashboard, client, values)
        selected = "" if values.get("bot", "(").startswith("(") else values["bot"]
        draw_dashboard(dashboard, results, folder / f"{path.stem}.png", selected)
        asked = [series for panel in results.values() for _, series in panel]
        lines.append(
            f"{path.stem}: {len(results)} panels, {len(asked)} queries, {sum(map(bool, asked))} with data"
        )
    return lines


def selection(dashboard: Json, client: PrometheusClient, bot: str = "") -> dict[str, str]:
    """Return the values of the variables; where one bot is selected, `bot` if there is such a bot."""
    offered = queries.variable_values(dashboard, client)
    values = queries.chosen_values(dashboard, offered)
    if bot in offered.get("bot", ()) and not values["bot"].startswith("("):
        values |= {"bot": bot}
    return values


def run_dashboard(dashboard: Json, client: PrometheusClient, values: dict[str, str]) -> dict[int, Results]:
    """Run every query of a dashboard; return the results by the panel's identifier."""
    found: dict[int, Results] = {}
    for panel in queries.panels(dashboard):
        targets = queries.targets_of(dashboard["uid"], panel)
        found[panel["id"]] = [
            (target, client.run(target.expr, instant=target.instant, values=values)) for target in targets
        ]
    return found


def main() -> None:
    """Render every dashboard and print what had data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--prometheus", default=PROMETHEUS, metavar="URL")
    parser.add_argument("--seconds", type=int, default=3600, help="how far back from now")
    parser.add_argument("--bot", default="", help="the bot of Bot detail")
    arguments = parser.parse_args()
    for line in render(arguments.folder, arguments.prometheus, arguments.seconds, arguments.bot):
        print(line)


if __name__ == "__main__":
    main()
