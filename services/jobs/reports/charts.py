"""Charts of reports as SVG, for the page and the PDF: lines, bars and small trends. Pure.

Shapes carry a class, which the page's style sheet colours for light and dark, and a colour of their own for
the PDF. No text of a bot is drawn: titles stand beside the charts.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.schema.formatting import format_comparison
from shared.schema.units import Unit

WIDTH, HEIGHT = 720, 200
LEFT, RIGHT, TOP, BOTTOM = 66, 10, 8, 22
TICKS = 4
COLORS = {"line": "#2563eb", "loss": "#c02626", "gain": "#15803d", "grid": "#d4d4d8", "label": "#52525b"}
"""By class: on white paper."""
_FONT = 'font-family="Libertinus Serif, sans-serif" font-size="11"'


class Axis(NamedTuple):
    """Values from `low` to `high` at `ticks`."""

    low: float
    high: float
    ticks: tuple[float, ...]


def nice_axis(low: float, high: float) -> Axis:
    """Return an axis with round ticks that has both values."""
    if not low < high:
        low, high = low - (abs(low) or 1.0) * 0.05, high + (abs(high) or 1.0) * 0.05
    raw = (high - low) / TICKS
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * (1 - 1e-9))
    first, last = math.floor(low / step), math.ceil(high / step)
    return Axis(first * step, last * step, tuple(number * step for number in range(first, last + 1)))


def line_chart(
    points: Sequence[tuple[datetime, float]], unit: Unit, zone: ZoneInfo, name: str, *, is_fall: bool = False
) -> str:
    """Return a line over time; `is_fall` draws values downwards from zero as an area."""
    values = [-value if is_fall else value for _, value in points]
    axis = nice_axis(min(values), 0.0 if is_fall else max(values))
    if is_fall and axis.high > 0:
        axis = nice_axis(min(values) or -1.0, 0.0)
    begin, end = points[0][0], points[-1][0]
    length = (end - begin) / timedelta(seconds=1) or 1.0
    places = [
        (LEFT + (at - begin) / timedelta(seconds=1) / length * (WIDTH - LEFT - RIGHT), _height(value, axis))
        for (at, _), value in zip(points, values, strict=True)
    ]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    kind = "loss" if is_fall else "line"
    shapes = _grid(axis, unit) + _dates(begin, end, zone)
    if is_fall:
        top = _height(0.0, axis)
        area = f"{path}L{places[-1][0]:.1f} {top:.1f}L{places[0][0]:.1f} {top:.1f}Z"
        shapes += f'<path class="{kind}-area" d="{area}" fill="{COLORS[kind]}" fill-opacity="0.15"/>'
    shapes += (
        f'<path class="{kind}" d="{path}" fill="none" stroke="{COLORS[kind]}" stroke-width="1.5" '
        'stroke-linejoin="round"/>'
    )
    return _svg(shapes, name)


def bar_chart(bars: Sequence[tuple[str, float]], unit: Unit, name: str) -> str:
    """Return a bar for each label; losses are below zero."""
    axis = nice_axis(min(0.0, *(value for _, value in bars)), max(0.0, *(value for _, value in bars)))
    width = (WIDTH - LEFT - RIGHT) / len(bars)
    every = math.ceil(len(bars) / 24)
    shapes = _grid(axis, unit)
    zero = _height(0.0, axis)
    for number, (label, value) in enumerate(bars):
        x, y = LEFT + number * width, _height(value, axis)
        kind = "gain" if value >= 0 else "loss"
        shapes += (
            f'<rect class="{kind}-bar" x="{x + width * 0.12:.1f}" y="{min(y, zero):.1f}" '
            f'width="{width * 0.76:.1f}" height="{abs(y - zero):.1f}" fill="{COLORS[kind]}"/>'
        )
        if number % every == 0:
            shapes += _text(x + width / 2, HEIGHT - 7, label, "middle")
    return _svg(shapes, name)


def histogram(values: Sequence[float], unit: Unit, name: str) -> str:
    """Return how many of the values are in each of up to 21 classes of equal width."""
    axis = nice_axis(min(0.0, *values), max(0.0, *values))
    step = (axis.ticks[1] - axis.ticks[0]) / TICKS
    first = round(axis.low / step)
    counts = [0] * max(1, round((axis.high - axis.low) / step))
    for value in values:
        counts[min(len(counts) - 1, max(0, math.floor(value / step) - first))] += 1
    top = nice_axis(0.0, max(TICKS, *counts))
    width = (WIDTH - LEFT - RIGHT) / len(counts)
    shapes = _grid(top, Unit("number", 1.0, ""))
    for number, count in enumerate(counts):
        kind = "gain" if (first + number) * step >= -step / 2 else "loss"
        y, zero = _height(count, top), _height(0.0, top)
        shapes += (
            f'<rect class="{kind}-bar" x="{LEFT + number * width + 1:.1f}" y="{y:.1f}" '
            f'width="{width - 2:.1f}" height="{zero - y:.1f}" fill="{COLORS[kind]}"/>'
        )
    for tick in axis.ticks:
        x = LEFT + (tick - axis.low) / (axis.high - axis.low) * (WIDTH - LEFT - RIGHT)
        shapes += _text(x, HEIGHT - 7, tick_text(tick, unit), "end" if tick == axis.ticks[-1] else "middle")
    return _svg(shapes, name)


def trend(values: Sequence[float | None], name: str) -> str:
    """Return a small line of percentages from 0 to 100; gaps where there is no value."""
    width, height = 160, 28
    path, is_drawing = "", False
    for number, value in enumerate(values):
        if value is None:
            is_drawing = False
            continue
        x = number / max(1, len(values) - 1) * (width - 2) + 1
        y = height - 1 - min(100.0, max(0.0, value)) / 100 * (height - 2)
        # A value between two gaps is a dot.
        path += f"{'L' if is_drawing else 'M'}{x:.1f} {y:.1f}" + ("" if is_drawing else "h0.1")
        is_drawing = True
    shape = (
        f'<path class="grid" d="M0 {height - 0.5}H{width}" fill="none" stroke="{COLORS["grid"]}"/>'
        f'<path class="line" d="{path or "M0 0"}" fill="none" stroke="{COLORS["line"]}" stroke-width="1.5" '
        'stroke-linecap="round"/>'
    )
    return _svg(shape, name, width, height)


def tick_text(value: float, unit: Unit) -> str:
    """Return a round number with its unit, without trailing zeros."""
    rounded = round(value, 9)
    return format_comparison(rounded, rounded, unit)[1].removesuffix(".00")


def _svg(shapes: str, name: str, width: int = WIDTH, height: int = HEIGHT) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{name}">{shapes}</svg>'
    )


def _height(value: float, axis: Axis) -> float:
    return TOP + (axis.high - value) / (axis.high - axis.low) * (HEIGHT - TOP - BOTTOM)


def _grid(axis: Axis, unit: Unit) -> str:
    shapes = ""
    for tick in axis.ticks:
        y = _height(tick, axis)
        kind = "zero" if tick == 0 else "grid"
        shapes += f'<path class="{kind}" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{COLORS["grid"]}"/>'
        shapes += _text(LEFT - 6, y + 4, tick_text(tick, unit), "end")
    return shapes


def _dates(begin: datetime, end: datetime, zone: ZoneInfo) -> str:
    length = end - begin
    form = "%H:%M" if length <= timedelta(days=2) else "%d %b" if length <= timedelta(days=200) else "%b %Y"
    shapes = ""
    for number in range(TICKS + 1):
        at = begin + length * number / TICKS
        anchor = "start" if number == 0 else "end" if number == TICKS else "middle"
        x = LEFT + number / TICKS * (WIDTH - LEFT - RIGHT)
        shapes += _text(x, HEIGHT - 7, f"{at.astimezone(zone):{form}}", anchor)
    return shapes


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text class="label" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {_FONT} '
        f'fill="{COLORS["label"]}">{text}</text>'
    )
