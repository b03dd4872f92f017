"""A picture of a dashboard from query results: what its panels show, drawn with a plain plotting library."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from grafana.panel_drawings import (
    CARD,
    INK,
    LINE,
    PALE,
    WIDTH_IN,
    Results,
    draw_lines,
    draw_stat,
    draw_states,
    draw_table,
    fraction,
)
from grafana.queries import ROW, STAT, STATE_TIMELINE, TABLE, Json

COLUMNS, ROW_IN, DPI = 24, 0.25, 96
HEADING_IN, ROW_TITLE_IN, GAP_IN = 0.6, 0.42, 0.08
PAGE = "#f4f5f7"
PICTURE_COLOURS = 64


class Placed(NamedTuple):
    """A panel or a row's heading and where it is drawn, in inches from the top left."""

    panel: Json
    left: float
    top: float
    width: float
    height: float


def draw_dashboard(dashboard: Json, results: Mapping[int, Results], path: Path, selected: str = "") -> None:
    """Draw every panel, those of collapsed rows too; `results` are by the panel's identifier.

    `selected` is the bot of a dashboard on one bot.
    """
    placed = list(_placed(dashboard))
    total = max(one.top + one.height for one in placed) + 0.2
    figure = Figure(figsize=(WIDTH_IN, total), dpi=DPI, facecolor=PAGE)
    title: dict[str, Any] = {"fontsize": 15, "fontweight": "bold", "color": INK, "va": "center"}
    figure.text(0.008, 1 - 0.28 / total, " · ".join(filter(None, (dashboard["title"], selected))), **title)
    note = "Rendered from Prometheus data, not Grafana"
    figure.text(0.992, 1 - 0.28 / total, note, fontsize=10, color=PALE, ha="right", va="center")
    for one in placed:
        if one.panel["type"] == ROW:
            text = ("▾ " if not one.panel["collapsed"] else "▸ ") + one.panel["title"]
            note = "   collapsed until opened" if one.panel["collapsed"] else ""
            height = 1 - (one.top + one.height / 2) / total
            figure.text(0.008, height, text, fontsize=11, fontweight="bold", color=INK, va="center")
            figure.text(0.992, height, note, fontsize=8, color=PALE, va="center", ha="right")
        else:
            _draw_panel(figure, one, total, results[one.panel["id"]])
    figure.savefig(path, facecolor=PAGE)
    _shrink(path)


def _placed(dashboard: Json) -> Iterator[Placed]:
    """Yield headings and panels from top to bottom, collapsed rows opened."""
    top = HEADING_IN
    column = WIDTH_IN / COLUMNS
    pending: list[Json] = []

    def flush() -> Iterator[Placed]:
        nonlocal top
        if pending:
            first = min(one["gridPos"]["y"] for one in pending)
            for one in pending:
                place = one["gridPos"]
                yield Placed(
                    one, place["x"] * column, top + (place["y"] - first) * ROW_IN, place["w"] * column,
                    place["h"] * ROW_IN,
                )  # fmt: skip
            top += max(one["gridPos"]["y"] + one["gridPos"]["h"] - first for one in pending) * ROW_IN
            pending.clear()

    for one in dashboard["panels"]:
        if one["type"] == ROW:
            yield from flush()
            yield Placed(one, 0, top, WIDTH_IN, ROW_TITLE_IN)
            top += ROW_TITLE_IN
            pending.extend(one["panels"])
        else:
            pending.append(one)
    yield from flush()


def _draw_panel(figure: Figure, one: Placed, total: float, results: Results) -> None:
    inner = (one.left + GAP_IN / 2, one.top + GAP_IN / 2, one.width - GAP_IN, one.height - GAP_IN)
    left, top, width, height = inner
    card = Rectangle(
        (left / WIDTH_IN, 1 - (top + height) / total), width / WIDTH_IN, height / total,
        facecolor=CARD, edgecolor=LINE, linewidth=0.8, transform=figure.transFigure, zorder=-1,
    )  # fmt: skip
    figure.add_artist(card)
    name: dict[str, Any] = {"fontsize": 8.5, "fontweight": "bold", "color": INK, "va": "center"}
    figure.text((left + 0.09) / WIDTH_IN, 1 - (top + 0.15) / total, one.panel["title"], **name)
    body = (left + 0.08, top + 0.28, width - 0.16, height - 0.34)
    axes = figure.add_axes(fraction(body, total))
    axes.set_axis_off()
    kind = one.panel["type"]
    if not any(series for _, series in results):
        empty = one.panel["fieldConfig"]["defaults"]["noValue"]
        axes.text(0.5, 0.5, _wrapped(empty, body[2]), ha="center", va="center", fontsize=8, color=PALE)
    elif kind == STAT:
        draw_stat(axes, one.panel, results, body)
    elif kind == TABLE:
        draw_table(axes, one.panel, results, body)
    elif kind == STATE_TIMELINE:
        draw_states(figure, one.panel, results, (body, total))
    else:
        draw_lines(figure, one.panel, results, (body, total))


def _wrapped(text: str, width: float) -> str:
    """Break a sentence into lines that fit into a width in inches."""
    lines, limit = [""], int(width / 0.075)
    for word in text.split():
        if len(lines[-1]) + len(word) > limit:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def _shrink(path: Path) -> None:
    """Store the picture with few colours: charts look the same, at a quarter of the size."""
    with Image.open(path) as image:
        few = image.convert("RGB").quantize(PICTURE_COLOURS, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
