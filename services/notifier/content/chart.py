"""Chart: an alert's metric over the last hour as a small PNG; contains no text from records. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from shared.schema.alerts import Details, Notice
from shared.schema.conditions import Condition
from shared.schema.formatting import format_comparison, format_value, unit_of_metric
from shared.schema.measured_values import Measured, measured_by, measured_metric
from shared.schema.units import PLAIN, Unit

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

Point = tuple[datetime, float]

WIDTH, HEIGHT = 480, 160
"""Displayed size; the image has twice as many pixels, for high-resolution screens."""
SPAN = timedelta(hours=1)
_QUARTER = timedelta(minutes=15)
_FINE = 4
"""Drawn at this scale and reduced, because Pillow does not antialias lines."""
_SHARP = 2
_TEXT = 13
_LEFT, _TOP, _RIGHT, _BOTTOM = 14, 26, 352, 130
_LABELS, _APART = 360, 17
"""Position of the value labels, and their minimum distance."""

_GROUND, _GRID, _INK, _QUIET = "#ffffff", "#e6e9ef", "#161b26", "#5a6375"
_CURVE, _LIMIT, _MARK = "#2456cf", "#c01f2f", "#8a5a00"


class _Axes(NamedTuple):
    """Maps times and values to coordinates."""

    since: datetime
    low: float
    high: float

    def x(self, at: datetime) -> float:
        return _LEFT + (at - self.since) / SPAN * (_RIGHT - _LEFT)

    def y(self, value: float) -> float:
        return _BOTTOM - (value - self.low) / (self.high - self.low) * (_BOTTOM - _TOP)


class _ChartLabel(NamedTuple):
    y: float
    words: str
    colour: str


class _Pen:
    """Draws in coordinates of the displayed size."""

    def __init__(self, draw: ImageDraw, scale: int, font: FreeTypeFont | ImageFont | None = None) -> None:
        self._draw = draw
        self._scale = scale
        self._font = font

    def line(self, points: Sequence[tuple[float, float]], colour: str, width: float = 1.0) -> None:
        scaled = [(x * self._scale, y * self._scale) for x, y in points]
        self._draw.line(scaled, fill=colour, width=round(width * self._scale), joint="curve")

    def dot(self, x: float, y: float, colour: str, radius: float = 3.0) -> None:
        self._draw.circle((x * self._scale, y * self._scale), radius * self._scale, fill=colour)

    def text(self, x: float, y: float, words: str, colour: str, anchor: str) -> None:
        place = (x * self._scale, y * self._scale)
        self._draw.text(place, words, fill=colour, font=self._font, anchor=anchor)


def draw_chart(notice: Notice, points: Sequence[Point], measured: Measured, now: datetime) -> bytes | None:
    """Return a PNG of `points`, oldest first; None when there are fewer than two.

    The limit is in it where it is one for the figure, and when the alert opened if that is within the hour.
    """
    # Imported only if needed: it takes megabytes, and few channels show charts.
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415

    since = now - SPAN
    shown = [point for point in points if since <= point[0] <= now]
    if len(shown) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    if measured.is_latest and shown[-1][0] < notice.updated_at <= now:
        # The evaluator may have been faster than the recorder: what opened the alert belongs to it.
        shown.append((notice.updated_at, notice.details.value))
    limit = notice.details.threshold if measured.is_metric else None
    frame = _axes(shown, limit, since)
    large = Image.new("RGB", (WIDTH * _FINE, HEIGHT * _FINE), _GROUND)
    _draw_lines(_Pen(ImageDraw.Draw(large), _FINE), frame, shown, limit, notice.timestamp)
    image = large.resize((WIDTH * _SHARP, HEIGHT * _SHARP), Image.Resampling.LANCZOS)
    pen = _Pen(ImageDraw.Draw(image), _SHARP, ImageFont.load_default(_TEXT * _SHARP))
    _draw_time_labels(pen, frame, notice.timestamp)
    for label in _labels(frame, shown, limit, unit_of_metric(notice.details.metric)):
        pen.text(_LABELS, label.y, label.words, label.colour, "lm")
    file = BytesIO()
    image.quantize().save(file, "PNG", optimize=True)
    return file.getvalue()


def _axes(points: Sequence[Point], limit: float | None, since: datetime) -> _Axes:
    values = [value for _, value in points] + ([] if limit is None else [limit])
    low, high = min(values), max(values)
    # A line that does not move runs through the middle.
    room = (high - low) * 0.06 or max(abs(high), 1.0) * 0.1
    return _Axes(since, low - room, high + room)


def _draw_lines(
    pen: _Pen, frame: _Axes, points: Sequence[Point], limit: float | None, opened: datetime
) -> None:
    for at in _quarter_hours(frame.since, frame.since + SPAN):
        pen.line([(frame.x(at), _TOP), (frame.x(at), _BOTTOM)], _GRID)
    pen.line([(_LEFT, _BOTTOM), (_RIGHT, _BOTTOM)], _GRID)
    if limit is not None:
        for x in range(_LEFT, _RIGHT, 10):
            pen.line([(x, frame.y(limit)), (min(x + 6, _RIGHT), frame.y(limit))], _LIMIT, 1.5)
    if frame.since <= opened <= frame.since + SPAN:
        pen.line([(frame.x(opened), _TOP - 4), (frame.x(opened), _BOTTOM)], _MARK, 1.5)
    pen.line([(frame.x(at), frame.y(value)) for at, value in points], _CURVE, 2)
    pen.dot(frame.x(points[-1][0]), frame.y(points[-1][1]), _CURVE)


def _draw_time_labels(pen: _Pen, frame: _Axes, opened: datetime) -> None:
    for at in _quarter_hours(frame.since, frame.since + SPAN):
        pen.text(frame.x(at), _BOTTOM + 8, f"{at:%H:%M}", _QUIET, "mt")
    pen.text(_LABELS + 20, _BOTTOM + 8, "UTC", _QUIET, "lt")
    if frame.since <= opened <= frame.since + SPAN:
        pen.text(frame.x(opened), 5, f"opened {opened.astimezone(UTC):%H:%M}", _MARK, "lt")


def _quarter_hours(since: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the quarters of an hour, by the clocks of UTC."""
    begin = since.astimezone(UTC)
    at = begin.replace(minute=begin.minute // 15 * 15, second=0, microsecond=0)
    while (at := at + _QUARTER) <= until:
        yield at


def _labels(frame: _Axes, points: Sequence[Point], limit: float | None, unit: Unit) -> list[_ChartLabel]:
    """Return labels for the minimum, the maximum and the limit, moved apart where they would overlap."""
    low, high = min(value for _, value in points), max(value for _, value in points)
    texts = format_comparison(low, high, unit)
    found = [_ChartLabel(frame.y(high), texts[1], _INK)]
    if low != high:
        found.append(_ChartLabel(frame.y(low), texts[0], _INK))
    if limit is not None:
        found.append(_ChartLabel(frame.y(limit), f"limit {format_value(limit, unit)}", _LIMIT))
    found.sort()
    for above, below in pairwise(range(len(found))):
        found[below] = found[below]._replace(y=max(found[below].y, found[above].y + _APART))
    floor = float(_BOTTOM)
    for index in reversed(range(len(found))):
        found[index] = found[index]._replace(y=min(found[index].y, floor))
        floor = found[index].y - _APART
    return found


class ChartLimits:
    """What each configured rule measures; an unknown rule is taken to measure its metric."""

    def __init__(self, conditions: Iterable[Condition]) -> None:
        self._named: dict[str, set[Measured]] = {}
        self._unnamed: dict[str, set[Measured]] = {}
        for condition in conditions:
            first = condition.conditions[0].metric_name if condition.conditions else ""
            known = self._named if condition.name else self._unnamed
            name = condition.name or condition.metric_name or first
            known.setdefault(name, set()).add(measured_by(condition))

    def measured_by(self, details: Details) -> Measured:
        """Return what the alert's rule measures; if that is ambiguous, a value without a unit."""
        own = {measured_metric(details.metric)}
        found = self._named.get(details.rule) or self._unnamed.get(details.metric) or own
        return next(iter(found)) if len(found) == 1 else Measured("", PLAIN, is_metric=False, is_latest=False)
