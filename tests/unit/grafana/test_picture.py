"""A picture of a dashboard shows every kind of panel, with and without data."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from grafana import queries
from grafana.builders import Board
from grafana.generate import BOARDS, encode
from grafana.panel_drawings import Results
from grafana.picture import draw_dashboard
from grafana.queries import Series

pytestmark = pytest.mark.slow  # draws

VIVID = 150
"""Saturation of lines and tiles, not of text and grids."""
LABELS = {name: f"a {name}" for name in ("bot", "host", "part", "group", "check", "rule", "severity", "step")}


def results(dashboard: dict[str, Any], *, empty: bool) -> dict[int, Results]:
    """Return results of each panel: two series with two points, or none."""
    points = [(1_795_942_000.0, 0.0), (1_795_942_300.0, 2.0)]
    series = [Series(LABELS | {"bot": bot, "host": bot}, points) for bot in ("a", "b")]
    return {
        panel["id"]: [
            (target, [] if empty else series) for target in queries.targets_of(dashboard["uid"], panel)
        ]
        for panel in queries.panels(dashboard)
    }


@pytest.mark.parametrize("board", [board for board in BOARDS if board.name in ("checks", "alerts")])
def test_a_dashboard_is_drawn(board: Board, tmp_path: Path) -> None:
    """Panels with data look otherwise than those without; the file stays small."""
    dashboard = json.loads(encode(board))
    coloured = []
    for empty in (True, False):
        path = tmp_path / f"{board.name}-{empty}.png"
        draw_dashboard(dashboard, results(dashboard, empty=empty), path)
        assert path.stat().st_size < 250_000
        with Image.open(path) as image:
            saturation = image.convert("HSV").getchannel("S")
            coloured.append(sum(saturation.histogram()[VIVID:]))
    assert coloured[1] > 10_000 > coloured[0]
