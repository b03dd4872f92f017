"""The API's histories: what is answered, and what is refused in which words."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from redis import Redis

from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import AnyRecord, Equity, Heartbeat, Performance
from shared.schema.timestamps import to_store
from shared.store.database import Database
from shared.store.records import insert_records
from shared.store.retention import remove_performance
from shared.store.rollups import roll_up
from shared.store.tables import equity_minutes
from tests.unit.dashboard.sample_data import NOON, body, get_json

pytestmark = pytest.mark.slow  # stores many rows

API = "/api/monitoring"
MINUTE = timedelta(minutes=1)


def store(database: Database, records: Iterable[AnyRecord]) -> None:
    with database.write() as connection:
        insert_records(connection, records)
        roll_up(connection, 1000)


def worth(minutes_ago: float, value: float, **further: Any) -> Performance:
    return Performance(bot="alpha", timestamp=NOON - minutes_ago * MINUTE, portfolio_value=value, **further)


def faults(client: FlaskClient, path: str) -> dict[str, str]:
    answer = client.get(API + path)
    assert answer.status_code == 400, body(answer)
    return {fault["path"]: fault["message"] for fault in body(answer)["faults"]}


def test_a_history_says_what_it_covers_and_by_which_rows(client: FlaskClient, performance: Database) -> None:
    store(performance, [worth(90, 1), worth(30.5, 2), worth(30, 3), worth(0, 4)])
    found = get_json(client, f"{API}/performance?bot=alpha")
    assert (found["from"], found["to"]) == ("2026-01-31T11:00:00Z", "2026-01-31T12:00:10Z")
    assert (found["step"], found["resolution"]) == (10, "raw")
    assert [point["portfolioValue"] for point in found["points"]] == [2, 3, 4]
    assert found["points"][0]["timestamp"] == "2026-01-31T11:29:30Z"
    assert found["points"][0]["sharpeRatio"] is None


@pytest.mark.parametrize(
    ("step", "resolution", "seconds", "values"),
    [
        ("30", "raw", 30, [1, 2, 3, 4]),
        ("30s", "raw", 30, [1, 2, 3, 4]),
        ("5m", "minute", 300, [1, 2, 3, 4]),
        ("15m", "minute", 900, [1, 2, 3, 4]),
        ("1h", "hour", 3600, [1, 3, 4]),
        ("1d", "hour", 86_400, [4]),
    ],
)
def test_the_last_row_of_each_step_counts_at_the_resolution_that_fits(
    client: FlaskClient, performance: Database, step: str, resolution: str, seconds: int, values: list[float]
) -> None:
    store(performance, [worth(90, 1), worth(31, 2), worth(30, 3), worth(0, 4)])
    found = get_json(client, f"{API}/performance?bot=alpha&from=2026-01-31T10:00:00Z&step={step}")
    assert (found["resolution"], found["step"]) == (resolution, seconds)
    assert [point["portfolioValue"] for point in found["points"]] == values


@pytest.mark.parametrize(
    ("span", "step"),
    [
        ("from=2026-01-31T11:59:00Z", 1),
        ("from=2026-01-31T06:00:00Z", 60),
        ("from=2026-01-24T12:00:00Z", 1800),
        ("from=2025-01-31T12:00:00Z", 86_400),
        ("from=2000-01-01T00:00:00Z&to=2099-12-31T00:00:00Z", 100 * 86_400),
    ],
)
def test_without_a_step_there_are_at_most_five_hundred(
    client: FlaskClient, performance: Database, span: str, step: int
) -> None:
    store(performance, [worth(0, 1)])
    assert get_json(client, f"{API}/performance?bot=alpha&{span}")["step"] == step


@pytest.mark.parametrize(
    "moment",
    ["2026-01-31T11:30:00Z", "2026-01-31T12:30:00%2B01:00", "2026-01-31T12:30:00+01:00", "1769859000000"],
)
def test_moments_may_be_iso_or_epoch_milliseconds(
    client: FlaskClient, performance: Database, moment: str
) -> None:
    store(performance, [worth(30, 1), worth(31, 0)])
    found = get_json(client, f"{API}/performance?bot=alpha&from={moment}&to={moment}&step=1s")
    assert (found["from"], found["to"]) == ("2026-01-31T11:30:00Z", "2026-01-31T11:30:01Z")
    assert len(found["points"]) == 1


def test_fields_and_source_choose(client: FlaskClient, performance: Database) -> None:
    store(performance, [worth(1, 7, var95=2), worth(1, 8, source="computed", max_drawdown=9)])
    path = f"{API}/performance?bot=alpha&fields=portfolioValue,maxDrawdown"
    at = "2026-01-31T11:59:00Z"
    assert get_json(client, path)["points"] == [
        {"timestamp": at, "source": "reported", "portfolioValue": 7, "maxDrawdown": None},
        {"timestamp": at, "source": "computed", "portfolioValue": 8, "maxDrawdown": 9},
    ]
    computed = get_json(client, f"{path}&source=computed")["points"]
    assert [point["source"] for point in computed] == ["computed"]


@pytest.mark.parametrize("step", ["1s", "1m", "1h"])
def test_counts_are_whole_numbers_at_every_resolution(
    client: FlaskClient, performance: Database, step: str
) -> None:
    store(performance, [worth(0, 1, total_trades=18)])
    answer = client.get(f"{API}/performance?bot=alpha&step={step}&fields=totalTrades,totalOrders")
    assert '"totalTrades":18,"totalOrders":null' in answer.text


def test_several_faults_are_named_at_once_with_the_nearest_word(client: FlaskClient) -> None:
    path = "/performance?feilds=x&fields=sharpRatio,var95&source=computd&from=yesterday&to=2026-01-31&step=0"
    found = faults(client, path)
    assert set(found) == {"bot", "feilds", "fields", "source", "from", "to", "step"}
    assert found["bot"] == "required, but missing"
    assert "did you mean `fields`?" in found["feilds"]
    assert "did you mean `sharpeRatio`?" in found["fields"]
    assert "did you mean `computed`?" in found["source"]
    assert "ISO-8601 with a zone or epoch milliseconds" in found["from"]
    assert "got '2026-01-31'" in found["to"]


@pytest.mark.parametrize(
    ("query", "path", "words"),
    [
        ("step=1s&from=2026-01-01T00:00:00Z", "step", "at most 5000 steps, got 2635201; use 10m or more"),
        ("step=90", "step", "whole minutes"),
        ("step=90m", "step", "whole hours"),
        ("step=1w", "step", "like 30s, 5m, 1h, 1d"),
        ("step=-5", "step", "like 30s, 5m, 1h, 1d"),
        ("step=999999999d", "step", "from 1s to 100d"),
        ("from=2026-02-01T00:00:00Z", "from", "before `to`"),
        ("from=1769859000", "from", "epoch milliseconds"),
        ("to=9999-12-31T23:59:59Z", "to", "2000 to 2099"),
        ("to=" + "9" * 400, "to", "2000 to 2099"),
    ],
)
def test_a_span_that_cannot_be_answered_is_refused_in_words(
    client: FlaskClient, query: str, path: str, words: str
) -> None:
    found = faults(client, f"/performance?bot=alpha&{query}")
    assert list(found) == [path]
    assert words in found[path]


def test_a_bot_that_is_silent_since_long_still_has_its_history(
    client: FlaskClient, client_without_redis: FlaskClient, performance: Database
) -> None:
    store(performance, [worth(60 * 24 * 30, 7)])
    path = f"{API}/performance?bot=alpha&from=2025-01-31T12:00:00Z"
    for one in (client, client_without_redis):
        found = get_json(one, path)
        assert [point["portfolioValue"] for point in found["points"]] == [7]
        assert (found["portfolioValue"], found["lastSeen"]) == (7, "2026-01-01T12:00:00Z")
        assert "alpha" not in get_json(one, f"{API}/performance")
    list(remove_performance(performance, NOON, lambda _bot: NOON))
    found = get_json(client, path)
    assert (found["bot"], [point["portfolioValue"] for point in found["points"]]) == ("alpha", [7])
    assert get_json(client, f"{API}/performance?bot=alpha")["points"] == []


@pytest.mark.parametrize("path", ["performance", "equity", "drawdown", "trades"])
def test_a_bot_that_never_was_is_404_and_the_known_ones_are_named(
    client: FlaskClient, redis: Redis, path: str
) -> None:
    RecordLog(redis).append([Heartbeat(bot="alpha", timestamp=NOON)], "test")
    answer = client.get(f"{API}/{path}?bot=alhpa")
    assert (answer.status_code, body(answer)["bots"]) == (404, ["alpha"])
    assert client.get(f"{API}/{path}?bot=alpha").status_code == 200


def test_equity_is_answered_as_candles(client: FlaskClient, performance: Database) -> None:
    values = [(70, 10.0, 0.0), (60, 12.0, 0.0), (50, 9.0, 5.0), (5, 11.0, 0.0)]
    store(
        performance,
        [
            Equity(bot="alpha", timestamp=NOON - timedelta(seconds=ago), equity=value, net_flow=flow)
            for ago, value, flow in values
        ],
    )
    found = get_json(client, f"{API}/equity?bot=alpha&from=2026-01-31T11:58:00Z&step=30s")
    assert (found["bot"], found["resolution"], found["step"]) == ("alpha", "raw", 30)
    assert found["points"] == [
        {
            "timestamp": "2026-01-31T11:58:30Z",
            "open": 10,
            "high": 10,
            "low": 10,
            "close": 10,
            "netFlow": 0,
        },
        {"timestamp": "2026-01-31T11:59:00Z", "open": 12, "high": 12, "low": 9, "close": 9, "netFlow": 5},
        {
            "timestamp": "2026-01-31T11:59:30Z",
            "open": 11,
            "high": 11,
            "low": 11,
            "close": 11,
            "netFlow": 0,
        },
    ]


def test_drawdown_is_answered_in_percent_from_a_minute_on(client: FlaskClient, performance: Database) -> None:
    falls = ((11, 0.25, 0.125), (10, 0.5, 0.5))
    with performance.write() as connection:
        for minutes, deepest, last in falls:
            values = {"bot": "alpha", "timestamp": to_store(NOON - minutes * MINUTE), "points": 1}
            values |= dict.fromkeys(("open", "high", "low", "close", "netFlow", "peak"), 1)
            connection.execute(equity_minutes.insert(), {**values, "drawdown": deepest, "lastDrawdown": last})
    store(performance, [worth(5, 1, source="computed", current_drawdown=3)])
    found = get_json(client, f"{API}/drawdown?bot=alpha")
    assert (found["step"], found["resolution"]) == (60, "minute")
    assert found["points"] == [
        {"timestamp": "2026-01-31T11:49:00Z", "drawdown": 25, "current": 12.5},
        {"timestamp": "2026-01-31T11:50:00Z", "drawdown": 50, "current": 50},
        {"timestamp": "2026-01-31T11:55:00Z", "drawdown": 3, "current": 3},
    ]
    assert "from 1m to 100d" in faults(client, "/drawdown?bot=alpha&step=30s")["step"]
    assert set(faults(client, "/equity?fields=x")) == {"bot", "fields"}


def test_histories_as_tables(client: FlaskClient, performance: Database) -> None:
    """A line for each point, under the names of the JSON."""
    store(
        performance,
        [worth(1, 7, var95=2), Equity(bot="alpha", timestamp=NOON - MINUTE, equity=8, net_flow=1)],
    )
    equity = client.get(f"{API}/equity?bot=alpha&step=1s&format=csv").text.split()
    assert equity == ["timestamp,open,high,low,close,netFlow", "2026-01-31T11:59:00Z,8.0,8.0,8.0,8.0,1.0"]
    table = client.get(f"{API}/performance?bot=alpha&fields=var95,var99", headers={"Accept": "text/csv"})
    assert table.text.split() == ["timestamp,source,var95,var99", "2026-01-31T11:59:00Z,reported,2.0,"]
    assert client.get(f"{API}/drawdown?bot=alpha&format=csv").text.split() == ["timestamp,drawdown,current"]
    assert "expected one of json, csv" in faults(client, "/equity?bot=alpha&format=xml")["format"]
