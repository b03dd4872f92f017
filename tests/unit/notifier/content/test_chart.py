"""The chart of the last hour, checked by the colours of its pixels, and which limits it shows."""

import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

import msgspec
import pytest
from PIL import Image, ImageChops
from structlog.testing import capture_logs

from services.notifier.content.chart import HEIGHT, WIDTH, ChartLimits, Point, draw_chart
from services.notifier.content.message import NotificationMessage
from services.notifier.content.rendering import NotificationContent
from services.notifier.content.templates import Templates
from shared.runtime.config.documents import PerformanceLogger, load_document
from shared.runtime.settings import REPOSITORY
from shared.schema.alerts import Details, Notice
from shared.schema.conditions import Condition
from shared.schema.measured_values import Measured, measured_metric
from shared.schema.units import BASIS_POINTS, CONDITION, MILLISECONDS, MONEY, PERCENT, PLAIN, SECONDS, Unit
from tests.unit.notifier.fake_receivers import NOON, make_notice

CURVE, LIMIT, MARK, INK = (36, 86, 207), (192, 31, 47), (138, 90, 0), (22, 27, 38)
LABELS_X = 720
FIGURE = Measured("", PERCENT)
ONLY_PAST = Measured("", PERCENT, is_latest=False)
Rgb = tuple[int, int, int]


def hour(*values: float) -> list[Point]:
    """Return values of the hour before noon, evenly spread, the last one at noon."""
    step = timedelta(hours=1) / (len(values) - 1)
    return [(NOON - timedelta(hours=1) + step * number, value) for number, value in enumerate(values)]


def picture(
    points: Sequence[Point], told: Notice | None = None, measured: Measured = ONLY_PAST
) -> Image.Image:
    png = draw_chart(told or make_notice(), points, measured, NOON)
    assert png is not None
    return Image.open(BytesIO(png)).convert("RGB")


def pixels(image: Image.Image, colour: Rgb, columns: tuple[int, int] = (0, LABELS_X)) -> set[tuple[int, int]]:
    """Return where a colour is; a little off, for there are not many in the file."""
    bands = [
        band.point([255 * (abs(value - wanted) < 12) for value in range(256)])
        for band, wanted in zip(
            image.crop((columns[0], 0, columns[1], image.height)).split(), colour, strict=True
        )
    ]
    found = ImageChops.darker(ImageChops.darker(bands[0], bands[1]), bands[2])
    return {
        (columns[0] + place.start() % found.width, place.start() // found.width)
        for place in re.finditer(b"\xff", found.tobytes())
    }


def opened(minutes_ago: float) -> Notice:
    return make_notice(timestamp=NOON - timedelta(minutes=minutes_ago))


def test_it_has_twice_the_pixels_of_its_place() -> None:
    assert picture(hour(1, 2)).size == (2 * WIDTH, 2 * HEIGHT)


@pytest.mark.parametrize("points", [[], hour(1, 2)[:1], [(NOON - timedelta(hours=2), 1.0), (NOON, 1.0)]])
def test_fewer_than_two_points_of_the_hour_are_no_picture(points: list[tuple[datetime, float]]) -> None:
    assert draw_chart(make_notice(), points, ONLY_PAST, NOON) is None


def test_the_line_goes_where_the_values_go() -> None:
    curve = pixels(picture(hour(10, 30)), CURVE)
    first, last = min(curve), max(curve)
    assert first[1] > 200
    assert last[1] < 80
    fallen = pixels(picture(hour(30, 10)), CURVE)
    assert min(fallen)[1] < 80


def test_the_limit_is_dashed_at_its_height() -> None:
    limit = pixels(picture(hour(10, 10, 30)), LIMIT)
    rows = {y for _, y in limit}
    assert len(rows) < 6
    middle = sorted(rows)[len(rows) // 2]
    assert 140 < middle < 175
    gaps = [x for x in range(40, 500) if not any((x, y) in limit for y in rows)]
    assert 100 < len(gaps) < 300


def test_a_limit_on_something_else_than_the_figure_is_left_out() -> None:
    image = picture(hour(10, 30), measured=Measured("", SECONDS, is_metric=False, is_latest=False))
    assert not pixels(image, LIMIT, (0, 2 * WIDTH))


def test_the_moment_at_which_the_alert_opened_is_marked() -> None:
    mark = pixels(picture(hour(10, 30), opened(30)), MARK)
    below = {x for x, y in mark if y > 60}
    assert below
    assert all(355 < x < 380 for x in below)
    assert not pixels(picture(hour(10, 30), opened(61)), MARK)


@pytest.mark.parametrize("minutes_ago", [0, 1, 30.5, 59, 60])
def test_what_is_written_beside_the_mark_stays_in_the_picture(minutes_ago: float) -> None:
    words = {x for x, y in pixels(picture(hour(10, 30), opened(minutes_ago)), MARK, (0, 2 * WIDTH)) if y < 40}
    assert min(words) > 2
    assert max(words) < 2 * WIDTH - 2
    assert max(words) - min(words) > 120


def test_what_opened_the_alert_is_in_it_though_it_is_not_stored_yet() -> None:
    told = make_notice(details=msgspec.structs.replace(make_notice().details, value=90))
    points = [(at - timedelta(seconds=5), value) for at, value in hour(11, 10, 12)]
    assert max(pixels(picture(points, told, FIGURE), CURVE))[1] < 80
    assert max(pixels(picture(points, told, ONLY_PAST), CURVE))[1] > 200


def test_labels_that_would_cover_one_another_are_moved_apart() -> None:
    image = picture(hour(0, 20.3))
    columns = (LABELS_X, 2 * WIDTH)
    limit = {y for _, y in pixels(image, LIMIT, columns)}
    values = {y for _, y in pixels(image, INK, columns)}
    assert limit
    assert values
    assert not limit & values
    assert min(values) > 40


@pytest.mark.parametrize("values", [(5, 5, 5), (0, 0), (-1e300, 1e300), (1e-12, 2e-12), (20, 20.0000001)])
def test_values_of_any_size_make_a_picture(values: tuple[float, ...]) -> None:
    assert pixels(picture(hour(*values)), CURVE)


def content(trail: Any) -> NotificationContent:
    return NotificationContent(Templates(), trail, lambda _notice: None)


def test_a_message_on_one_alert_has_a_chart() -> None:
    asked: list[tuple[Notice, datetime]] = []

    def trail(told: Notice, now: datetime) -> list[Point]:
        asked.append((told, now))
        return hour(10, 30)

    raised = make_notice("raised")
    png = content(trail).chart(NotificationMessage((make_notice(), raised), "key", NOON))
    assert png is not None
    assert png.startswith(b"\x89PNG")
    assert asked == [(raised, NOON)]


def test_several_alerts_and_tests_have_none() -> None:
    known = content(lambda *_: hour(10, 30))
    assert known.chart(NotificationMessage((make_notice(), make_notice(alert="a2")), "key", NOON)) is None
    assert known.chart(NotificationMessage((make_notice(),), "key", NOON, is_test=True)) is None


def test_a_chart_that_cannot_be_drawn_does_not_stop_the_notice() -> None:
    with capture_logs() as logs:
        assert (
            content(lambda *_: hour(float("nan"), 1)).chart(
                NotificationMessage((make_notice(),), "key", NOON)
            )
            is None
        )
    assert [(entry["event"], entry["alert"]) for entry in logs] == [("cannot draw a chart", "a1")]


@pytest.mark.slow
def test_pillow_is_loaded_by_those_who_draw_only() -> None:
    program = "import sys, services.notifier.content.rendering; sys.exit('PIL' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def condition(**keys: Any) -> Condition:
    kind = {"metricName": "slippageBps", "operator": ">", "threshold": 10, "severity": "LOW", "name": "r"}
    return msgspec.convert(
        {name: value for name, value in (kind | keys).items() if value is not None}, Condition
    )


def details(rule: str = "r", metric: str = "slippageBps") -> Details:
    return Details(rule=rule, bot="a", metric=metric, value=12, operator=">", threshold=10)


def of(label: str, unit: Unit, what: str = "") -> Measured:
    return Measured(label, unit, is_metric="figure" in what, is_latest="latest" in what)


PART = {"metricName": "orderLatencyMs", "operator": ">", "threshold": 5}
WHOLE: dict[str, Any] = dict.fromkeys(("metricName", "operator", "threshold"))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, of("Slippage", BASIS_POINTS, "figure latest")),
        (
            {"aggregate": "avg", "window": "5m"},
            of("Slippage, average over 5m", BASIS_POINTS, "figure"),
        ),
        (
            {"aggregate": "delta", "window": "5m"},
            of("Slippage, change over 5m", BASIS_POINTS),
        ),
        (
            {"aggregate": "count", "window": "5m"},
            of("Slippage, count in 5m", PLAIN),
        ),
        (
            {"aggregate": "change", "window": "5m"},
            of("Slippage, change over 5m", PERCENT),
        ),
        (
            {"aggregate": "rate", "window": "5m"},
            of("Slippage, change per second over 5m", PLAIN),
        ),
        ({"times": 2, "of": 3}, of("Slippage, 2 of the last 3", BASIS_POINTS, "figure")),
        (
            {"comparedWith": {"metricName": "var95", "as": "share"}},
            of("Slippage as a share of VaR 95%", PERCENT),
        ),
        (
            {"comparedWith": {"metricName": "slippageP50Bps"}},
            of("Slippage minus Slippage p50", BASIS_POINTS),
        ),
        (
            {"comparedWith": {"baseline": "7d"}, "window": "1h"},
            of("Slippage, standard deviations from the mean of 7d", PLAIN),
        ),
        (
            {"kind": "absence", "period": "30s", "operator": None, "threshold": None},
            of("Time since the last Slippage", SECONDS),
        ),
        (
            {"kind": "combination", "conditions": [PART], **WHOLE},
            of("Order latency", MILLISECONDS, "figure latest"),
        ),
        (
            {"kind": "combination", "match": "any", "conditions": [PART], **WHOLE},
            of("Any of 1 conditions", CONDITION),
        ),
    ],
)
def test_the_unit_is_that_of_what_the_rule_makes_of_the_figure(
    keys: dict[str, Any], expected: Measured
) -> None:
    assert ChartLimits([condition(**keys)]).measured_by(details()) == expected


def test_a_rule_without_a_name_is_known_by_its_figure() -> None:
    rules = [condition(name=None, aggregate="count", window="5m")]
    assert ChartLimits(rules).measured_by(details("slippageBps-count-5m-above-10")).unit is PLAIN
    assert ChartLimits(rules).measured_by(details("other", "portfolioValue")).unit is MONEY


def test_where_rules_that_could_be_meant_differ_no_unit_is_said() -> None:
    rules = [condition(name=None), condition(name=None, aggregate="count", window="5m")]
    assert ChartLimits(rules).measured_by(details("?")) == of("", PLAIN)


def test_without_a_rule_it_is_the_figure_itself() -> None:
    assert ChartLimits([]).measured_by(details()) == measured_metric("slippageBps")
    assert ChartLimits([]).measured_by(details(metric="queueLength")) == measured_metric("queueLength")


def test_the_shipped_rules_are_understood() -> None:
    document = REPOSITORY / "deploy" / "config" / "performance_logger.json"
    measures = ChartLimits(load_document(document, PerformanceLogger, {}).alerting.conditions)
    for rule, metric, unit, is_figure in (
        ("drawdown", "maxDrawdown", PERCENT, True),
        ("daily-loss", "totalPnL", PERCENT, False),
        ("bot-silent", "portfolioValue", SECONDS, False),
        ("stuck-orders", "order", PLAIN, False),
        ("equity-jump-up", "equity", PERCENT, False),
        ("host-cpu", "cpuUsage", PERCENT, True),
    ):
        known = measures.measured_by(details(rule, metric))
        assert (known.unit, known.is_metric) == (unit, is_figure), rule
