"""Drawings of single panels from query results: values, graphs, states over time, tables."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from grafana.queries import Json, PanelTarget, Series
from grafana.value_text import Steps, axis_text, colour_of, value_text

WIDTH_IN = 15.0
INK, PALE, CARD, LINE = "#24292f", "#6e7781", "#ffffff", "#d8dee4"
COLOURS = {"green": "#56a64b", "yellow": "#e0b400", "orange": "#ff780a", "red": "#e02f44", "blue": "#3274d9"}
PALETTE = ("#3274d9", "#56a64b", "#ff780a", "#8f3bb8", "#e02f44", "#e0b400", "#0d98ba", "#a16a57", "#6b7280")
MIN_BARS = 4
"""Rows for which there is room: a single bar does not fill its panel."""
TIME_STEPS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400, 604_800)
MAX_TICKS, MIN_STEPPED_S = 6, 5
MAX_LEGENDS, MAX_ROWS, MAX_TILES = 8, 14, 12

LegendLines = list[list[tuple[int, str]]]
Results = Sequence[tuple[PanelTarget, Sequence[Series]]]


def fraction(place: tuple[float, float, float, float], total: float) -> tuple[float, float, float, float]:
    """Return a place in inches from the top left as a fraction of the figure, from the bottom left."""
    left, top, width, height = place
    return left / WIDTH_IN, 1 - (top + height) / total, width / WIDTH_IN, height / total


def draw_stat(axes: Axes, panel: Json, results: Results, body: tuple[float, ...]) -> None:
    """Draw a tile per series, coloured by the thresholds."""
    defaults = panel["fieldConfig"]["defaults"]
    found = [(legend(target, one), one.points[-1][1]) for target, series in results for one in series]
    found = found[:MAX_TILES]
    coloured = panel["options"]["colorMode"] != "none"
    across = min(len(found), max(1, int(body[2] / 1.15)))
    lines = -(-len(found) // across)
    for index, (name, value) in enumerate(found):
        line, column = divmod(index, across)
        x, y = column / across, 1 - (line + 1) / lines
        colour = COLOURS[colour_of(value, _override(panel, name) or _steps(defaults))] if coloured else CARD
        ink = "white" if coloured else INK
        box = (0.985 / across, 0.94 / lines)
        axes.add_patch(Rectangle((x, y), *box, facecolor=colour, transform=axes.transAxes))
        text = _mapped(value, defaults) or value_text(value, defaults["unit"], defaults.get("decimals"))
        size = min(17.0, 95 * body[2] / across / max(len(text), 5), 50 * body[3] / lines / 1.9)
        centre = (x + box[0] / 2, y + box[1] * (0.42 if name else 0.5))
        axes.text(*centre, text, fontsize=size, fontweight="bold", color=ink, ha="center", va="center")
        if name:
            small = min(7.5, size * 0.7)
            axes.text(centre[0], y + box[1] * 0.82, name, fontsize=small, color=ink, ha="center", va="center")
    axes.set(xlim=(0, 1), ylim=(0, 1))


def draw_lines(figure: Figure, panel: Json, results: Results, place: tuple[tuple[float, ...], float]) -> None:
    """Draw a line per series, the thresholds near them, and the legend."""
    (left, top, width, height), total = place
    fields = panel["fieldConfig"]
    defaults, custom = fields["defaults"], fields["defaults"]["custom"]
    named = [(legend(target, one), one.points) for target, series in results for one in series]
    shown = named[: len(PALETTE) * 2]
    lines = _legend_lines([name for name, _ in shown[:MAX_LEGENDS]], width)
    below = 0.2 + 0.16 * len(lines)
    axes = figure.add_axes(fraction((left + 0.6, top, width - 0.7, height - below - 0.05), total))
    patterns = [one["matcher"]["options"].strip("/") for one in fields["overrides"] if _is_dashed(one)]
    floor: dict[float, float] = {}
    fixed = _fixed_colours(panel)
    for index, (name, points) in enumerate(shown):
        colour = _colour(index, name, fixed)
        times = [at for at, _ in points]
        values = [value for _, value in points]
        if custom["stacking"]["mode"] == "normal":
            lower = [floor.get(at, 0.0) for at, _ in points]
            values = [low + value for low, value in zip(lower, values, strict=True)]
            floor |= {at: value for (at, _), value in zip(points, values, strict=True)}
            axes.fill_between(times, lower, values, color=colour, alpha=0.3, linewidth=0)
        dashed = any(re.search(pattern, name) for pattern in patterns)
        axes.plot(times, values, color=colour, linewidth=1.1, linestyle=(0, (4, 2)) if dashed else "-")
    if not any(value for _, points in shown for _, value in points):
        axes.set_ylim(-0.05, 1)
    _limit_lines(axes, _steps(defaults))
    _style(axes, defaults["unit"], defaults.get("decimals"))
    _write_legend(figure, lines, fixed, (left, top + height - 0.16 * len(lines), total))


def _limit_lines(axes: Axes, steps: Steps) -> None:
    """Draw the thresholds that are near the values; others would flatten the lines."""
    low, high = axes.get_ylim()
    room = max(high - low, abs(high), 1e-9)
    for start, colour in steps:
        if start is not None and low - room <= start <= high + room:
            axes.axhline(start, color=COLOURS[colour], linewidth=0.9, linestyle=(0, (5, 3)))


def _style(axes: Axes, unit: str, decimals: int | None) -> None:
    axes.grid(visible=True, color=LINE, linewidth=0.5)
    axes.margins(x=0)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    whole = unit == "locale" and decimals == 0
    low, high = axes.get_ylim()
    if unit == "s" and high - low > MIN_STEPPED_S:
        axes.yaxis.set_major_locator(_time_ticks(high - low))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=whole))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: axis_text(value, unit)))
    left, right = axes.get_xlim()
    axes.xaxis.set_major_locator(_time_ticks(right - left))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"))
    axes.tick_params(labelsize=6.5, colors=PALE, length=0, pad=2)


def _time_ticks(span: float) -> MultipleLocator:
    """Return ticks at whole minutes or hours, at most six in a span of seconds."""
    return MultipleLocator(next((step for step in TIME_STEPS_S if span / step <= MAX_TICKS), span))


def _legend_lines(names: Sequence[str], width: float) -> LegendLines:
    """Break the legend into at most two lines of (index, name)."""
    lines: LegendLines = [[]]
    used = 0.0
    for index, name in enumerate(names):
        needed = 0.32 + 0.062 * len(name)
        if lines[-1] and used + needed > width:
            if len(lines) == 2:  # noqa: PLR2004 - lines of a legend
                break
            lines.append([])
            used = 0.0
        lines[-1].append((index, name))
        used += needed
    return lines


def _write_legend(
    figure: Figure,
    lines: LegendLines,
    fixed: Mapping[str, str],
    place: tuple[float, float, float],
) -> None:
    left, top, total = place
    for number, line in enumerate(lines):
        at = left + 0.05
        height = 1 - (top + 0.16 * number + 0.06) / total
        for index, name in line:
            colour = _colour(index, name, fixed)
            figure.text(at / WIDTH_IN, height, "━", fontsize=8, color=colour, va="center")
            figure.text((at + 0.15) / WIDTH_IN, height, name, fontsize=6.5, color=INK, va="center")
            at += 0.32 + 0.062 * len(name)


def draw_states(
    figure: Figure, panel: Json, results: Results, place: tuple[tuple[float, ...], float]
) -> None:
    """Draw a bar per series, coloured by the thresholds."""
    (left, top, width, height), total = place
    defaults = panel["fieldConfig"]["defaults"]
    named = [(legend(target, one), one.points) for target, series in results for one in series]
    named = named[:MAX_ROWS]
    axes = figure.add_axes(fraction((left + 1.5, top, width - 1.6, height - 0.2), total))
    for row, (_, points) in enumerate(named):
        step = min((later[0] - earlier[0] for earlier, later in pairwise(points)), default=1.0)
        for at, value in points:
            colour = COLOURS[colour_of(value, _steps(defaults))]
            axes.barh(row, step, left=at, height=0.72, color=colour, linewidth=0)
    axes.set_yticks(range(len(named)), [name for name, _ in named])
    axes.set_ylim(max(len(named), MIN_BARS) - 0.5, -0.5)
    _style(axes, "none", None)
    axes.set_yticks(range(len(named)), [name for name, _ in named])
    axes.grid(visible=False)


def draw_table(axes: Axes, panel: Json, results: Results, body: tuple[float, ...]) -> None:
    """Draw the merged rows, cells coloured by their column's thresholds."""
    titles, rows = table_rows(panel, results)
    step = min(0.24 / body[3], 1 / (len(rows[:MAX_ROWS]) + 1))
    widths = [max(len(title), *(len(row.get(title, ("", ""))[0]) for row in rows)) + 3 for title in titles]
    scale = 1 / sum(widths)
    at = 0.0
    for title, width in zip(titles, widths, strict=True):
        axes.text(at + 0.004, 1 - step / 2, title, fontsize=7.5, fontweight="bold", color=PALE, va="center")
        for index, row in enumerate(rows[:MAX_ROWS]):
            text, colour = row.get(title, ("", ""))
            y = 1 - (index + 2) * step
            if colour:
                box = Rectangle((at, y + step * 0.06), width * scale * 0.97, step * 0.88)
                box.set_facecolor(COLOURS[colour])
                axes.add_patch(box)
            ink = "white" if colour else INK
            axes.text(at + 0.004, y + step / 2, text, fontsize=7.5, color=ink, va="center")
        at += width * scale
    axes.set(xlim=(0, 1), ylim=(0, 1))


def table_rows(panel: Json, results: Results) -> tuple[list[str], list[dict[str, tuple[str, str]]]]:
    """Merge the results of a table's queries as Grafana does: (titles, rows of title → (text, colour))."""
    [organize] = [one["options"] for one in panel["transformations"] if one["id"] == "organize"]
    titles: dict[str, str] = organize["renameByName"]
    cells = {one["matcher"]["options"]: one["properties"] for one in panel["fieldConfig"]["overrides"]}
    defaults = panel["fieldConfig"]["defaults"]
    merged: list[dict[str, Any]] = []
    for target, series in results:
        for one in series:
            labels = {name: value for name, value in one.labels.items() if name in titles}
            same = (
                row for row in merged if all(row.get(key, value) == value for key, value in labels.items())
            )
            row = next(same, None)
            if row is None:
                row = {}
                merged.append(row)
            value_key = f"Value #{target.ref}" if len(results) > 1 else "Value"
            row |= labels | {value_key: one.points[-1][1]}
    rows = [
        {
            title: _cell(row[key], {one["id"]: one["value"] for one in cells.get(title, ())}, defaults)
            for key, title in titles.items()
            if key in row
        }
        for row in merged
    ]
    return list(titles.values()), rows


def _cell(value: str | float, properties: Json, defaults: Json) -> tuple[str, str]:
    if isinstance(value, str):
        return value, ""
    steps = [(one["value"], one["color"]) for one in properties.get("thresholds", {}).get("steps", ())]
    text = _mapped(value, defaults) or value_text(value, properties["unit"], properties.get("decimals"))
    return text, colour_of(value, steps) if steps else ""


def legend(target: PanelTarget, series: Series) -> str:
    """Return a series' name: its legend with the labels filled in."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: series.labels.get(match[1], ""), target.legend).strip()


def _mapped(value: float, defaults: Json) -> str:
    for mapping in defaults.get("mappings") or ():
        found: Json = mapping["options"].get(f"{value:g}", {})
        return str(found.get("text", ""))
    return ""


def _steps(defaults: Json) -> Steps:
    return [(step["value"], step["color"]) for step in defaults["thresholds"]["steps"]]


def _override(panel: Json, name: str) -> Steps:
    """Return the thresholds of one series; nothing if it has those of the panel."""
    for one in panel["fieldConfig"]["overrides"]:
        if one["matcher"]["options"] == name:
            [thresholds] = [item["value"] for item in one["properties"] if item["id"] == "thresholds"]
            return [(step["value"], step["color"]) for step in thresholds["steps"]]
    return ()


def _is_dashed(override: Json) -> bool:
    return any(one["id"] == "custom.lineStyle" for one in override["properties"])


def _colour(index: int, name: str, fixed: Mapping[str, str]) -> str:
    return COLOURS[fixed[name]] if name in fixed else PALETTE[index % len(PALETTE)]


def _fixed_colours(panel: Json) -> dict[str, str]:
    """Return the colours that are fixed for series, by their names."""
    return {
        one["matcher"]["options"]: item["value"]["fixedColor"]
        for one in panel["fieldConfig"]["overrides"]
        for item in one["properties"]
        if item["id"] == "color"
    }
