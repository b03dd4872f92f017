"""Availability: how long a result counts, when an outage ends, and that a day can be made again."""

from random import Random

from shared.analytics.availability import (
    DAY_MS,
    StatusResult,
    StatusSpan,
    StatusTimes,
    extend_spans,
    find_outages,
    rebuild_spans,
    status_bars,
    status_since,
    times_in,
)
from shared.schema.records import CheckStatus

S, M = 1000, 60_000
START = 20_000 * DAY_MS


def result(seconds: float, status: CheckStatus = "ok", interval: int | None = 30 * S) -> StatusResult:
    return StatusResult(START + round(seconds * S), status, interval, None, f"is {status}")


def spans_of(*results: StatusResult) -> list[tuple[float, float, str]]:
    spans = extend_spans(None, results)
    return [((span.begin - START) / S, (span.until - START) / S, span.status) for span in spans]


def test_a_result_counts_until_the_next_one() -> None:
    found = spans_of(result(0), result(30), result(60, "critical"), result(90), result(120))
    assert found == [(0, 60, "ok"), (60, 90, "critical"), (90, 210, "ok")]


def test_without_a_next_result_it_counts_for_three_intervals_but_at_least_a_minute() -> None:
    assert spans_of(result(0), result(91)) == [(0, 90, "ok"), (91, 181, "ok")]
    assert spans_of(result(0), result(90)) == [(0, 180, "ok")]
    assert spans_of(result(0, interval=1 * S), result(61)) == [(0, 60, "ok"), (61, 151, "ok")]
    assert spans_of(result(0, interval=None)) == [(0, 3600, "ok")]


def test_a_span_ends_at_midnight_where_the_next_result_comes() -> None:
    day = DAY_MS / S
    assert spans_of(result(day - 10), result(day + 20)) == [
        (day - 10, day + 20, "ok"),
        (day + 20, day + 110, "ok"),
    ]


def test_of_results_of_one_moment_the_last_counts() -> None:
    assert spans_of(result(0), result(30, "critical"), result(30)) == [(0, 30, "ok"), (30, 120, "ok")]


def test_only_known_time_counts_and_a_warning_is_up() -> None:
    spans = extend_spans(
        None,
        [
            result(0),
            result(30, "warning"),
            result(60, "critical"),
            result(90, "unknown"),
            result(120),
            result(900),
        ],
    )
    times = times_in(spans, START, START + 930 * S)
    assert times == StatusTimes(ok=(30 + 90 + 30) * S, warning=30 * S, critical=30 * S, unknown=30 * S)
    assert times.availability == 100 * 180 / 210
    assert StatusTimes(unknown=5).availability is None


def test_bars_split_spans_and_end_now() -> None:
    spans = extend_spans(None, [result(0), result(30, "critical"), result(60), result(90)])
    bars = status_bars(spans, START, 60 * S, 3, START + 100 * S)
    assert bars == [[30 * S, 0, 30 * S, 0], [40 * S, 0, 0, 0], [0, 0, 0, 0]]
    assert status_bars(spans, START + 40 * S, 60 * S, 1, START + DAY_MS) == [[40 * S, 0, 20 * S, 0]]


def test_an_outage_ends_with_the_first_good_result_only() -> None:
    found = extend_spans(
        None,
        [result(0, "critical"), result(30, "unknown"), result(60, "critical"), result(900, "critical"),
         result(930, "warning"), result(960), result(990, "critical")],
    )  # fmt: skip
    ended, still = find_outages(found, START + 1000 * S)
    assert (ended.begin, ended.end, ended.critical) == (START, START + 930 * S, (30 + 90 + 30) * S)
    assert (still.begin, still.end, still.critical) == (START + 990 * S, None, 10 * S)
    assert status_since(found) == START + 990 * S


def test_a_day_made_again_is_the_day_as_it_was_made_result_by_result() -> None:
    chance = Random(1)
    statuses: tuple[CheckStatus, ...] = ("ok", "ok", "ok", "warning", "critical", "unknown")
    at, results = 0.0, []
    while at < 3 * DAY_MS / S:
        at += chance.choice((30, 31, 60, 89, 90, 91, 4000))
        results.append(result(at, chance.choice(statuses)))
    whole: list[StatusSpan] = []
    for one in results:
        whole[-1:] = extend_spans(whole[-1] if whole else None, [one])
    begin = START + DAY_MS
    before = [span for span in whole if span.begin < begin]
    after = [span for span in whole if span.begin >= begin + DAY_MS]
    day = [one for one in results if begin <= one.at < begin + DAY_MS]
    made = rebuild_spans(before[-1], day, begin, after[0].begin)
    assert [*before[:-1], *made, *after] == whole


def test_an_interval_nobody_said_is_the_median_of_the_day() -> None:
    results = [result(at, interval=None) for at in (0, 3600, 7200, 7230)]
    (span,) = rebuild_spans(None, results, START, None)
    assert (span.interval, span.until) == (3600 * S, START + (7230 + 3 * 3600) * S)
