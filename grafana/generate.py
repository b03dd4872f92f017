"""`python -m grafana.generate` writes grafana/dashboards/*.json from the modules beside this one."""

import json
from pathlib import Path

from grafana import hosts, itself, trading
from grafana.panels import GrafanaDashboard

DASHBOARDS: tuple[GrafanaDashboard, ...] = (trading.DASHBOARD, itself.DASHBOARD, hosts.DASHBOARD)
FOLDER = Path(__file__).parent / "dashboards"


def encode(dashboard: GrafanaDashboard) -> str:
    """Return the content of a dashboard's file."""
    return json.dumps(dashboard.render(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write a file for each dashboard."""
    FOLDER.mkdir(exist_ok=True)
    for dashboard in DASHBOARDS:
        path = FOLDER / f"{dashboard.uid}.json"
        path.write_text(encode(dashboard), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
