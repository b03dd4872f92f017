"""One bot in the API: its figures, labels, alerts and comparisons, and the marks on its chart."""

from datetime import timedelta
from typing import Literal
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from redis import Redis

from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import AnyRecord, CashFlow, Difference, Equity, Event, Metric, Performance
from shared.schema.timestamps import to_store
from shared.store.database import Database
from shared.store.records import insert_records
from shared.store.tables import equity_minutes, trades
from tests.unit.dashboard.sample_data import (
    NOON,
    bar,
    body,
    earn,
    get_json,
    make_alert,
    store_open_alert,
    store_resolved,
)

API = "/api/monitoring"
HOUR = timedelta(hours=1)


def store(database: Database, *records: AnyRecord) -> None:
    with database.write() as connection:
        insert_records(connection, records)


@pytest.mark.parametrize("name", ["desk/a b", "a?b#c%d", "β 🤖", "..x", "a//b"])
def test_a_bot_of_any_name_has_figures_labels_and_alerts(
    client: FlaskClient, redis: Redis, health: Database, performance: Database, name: str
) -> None:
    """Of a label's values the newest counts; labels of a custom metric are not the bot's."""
    before = NOON - HOUR
    RecordLog(redis).append(
        [
            Equity(bot=name, timestamp=before, equity=1, labels={"strategy": "old", "desk": "x"}),
            Performance(bot=name, timestamp=NOON, portfolio_value=7, labels={"strategy": "new"}),
            Metric(bot=name, timestamp=NOON, name="queue", value=3, labels={"venue": "a"}),
        ],
        "test",
    )
    earn(performance, bar(name, 30, 5))
    store_open_alert(health, make_alert(1, component=name))
    store_open_alert(health, make_alert(2, component="other"))
    found = get_json(client, f"{API}/bots/{quote(name, safe='')}")
    assert (found["bot"], found["timestamp"], found["firstAt"]) == (
        name, "2026-01-31T12:00:00Z", "2026-01-30T06:00:00Z",
    )  # fmt: skip
    assert found["labels"] == {"desk": "x", "strategy": "new"}
    assert found["performance"] == get_json(client, API)["performance"][name]
    assert [alert["id"] for alert in found["alerts"]] == ["alert-1"]
    assert get_json(client, f"{API}/bots/{quote(name)}/marks")["bot"] == name


def test_what_is_reported_stands_beside_what_is_computed(client: FlaskClient, redis: Redis) -> None:
    """A win rate of 60% against 50% may differ by 5% of the larger: 3; a Sharpe ratio of 1 by 0.05."""
    reported = Performance(bot="a", timestamp=NOON, portfolio_value=1000, win_rate=60, sharpe_ratio=1)
    computed = Performance(
        bot="a", timestamp=NOON, source="computed", portfolio_value=1000, win_rate=52, sharpe_ratio=1.04,
        max_drawdown=3, differences={"winRate": Difference(reported=60, computed=50)},
    )  # fmt: skip
    RecordLog(redis).append([reported, computed], "test")
    found = {one.pop("metric"): one for one in get_json(client, f"{API}/bots/a")["comparisons"]}
    assert found["winRate"] == {"reported": 60, "computed": 50, "tolerance": 3, "agrees": False}
    assert found["sharpeRatio"] == {
        "reported": 1, "computed": 1.04, "tolerance": pytest.approx(0.052), "agrees": True,
    }  # fmt: skip
    assert set(found) == {"portfolioValue", "winRate", "sharpeRatio"}


def test_an_unknown_bot_is_404_and_a_silent_one_is_not(
    client: FlaskClient, performance: Database, redis: Redis
) -> None:
    RecordLog(redis).append([Equity(bot="alpha", timestamp=NOON, equity=1)], "test")
    for path in ("/bots/alhpa", "/bots/alhpa/marks", "/execution?bot=alhpa"):
        answer = client.get(API + path)
        assert (answer.status_code, body(answer)["bots"]) == (404, ["alpha"])
    store(performance, Performance(bot="old", timestamp=NOON - 5000 * HOUR, portfolio_value=3))
    assert get_json(client, f"{API}/bots/old")["performance"]["portfolioValue"] == 3
    assert client.get(f"{API}/bots/alpha?x=1").status_code == 400


def test_marks_say_what_happened_in_the_range(
    client: FlaskClient, performance: Database, health: Database
) -> None:
    """An alert that was open when the range begins is among them; one that was over is not."""
    for number, minutes in ((1, 30), (2, 600), (3, 700), (4, 20)):
        alert = make_alert(number, "CRITICAL", "a", minutes)
        store_open_alert(health, alert)
        if number == 1:
            store_resolved(health, alert)
        if number == 3:
            store_resolved(health, alert)
            with health.write() as connection:
                connection.exec_driver_sql(
                    "UPDATE alerts SET resolvedAt = '2026-01-31 01:00:00.000' WHERE id = 'alert-3'"
                )
    store(
        performance,
        Event(bot="a", timestamp=NOON - HOUR, title="restarted", text="<b>", level="warning"),
        CashFlow(bot="a", timestamp=NOON - HOUR / 2, amount=-50, type="withdrawal", currency="USDT"),
    )
    with performance.write() as connection:
        trade = {
            "bot": "a", "number": 1, "symbol": "X", "side": "sell", "quantity": 1, "pnl": -4, "fees": 0,
            "openedAt": to_store(NOON - HOUR), "closedAt": to_store(NOON - HOUR / 4), "entryPrice": 1,
            "exitPrice": 1,
        }  # fmt: skip
        connection.execute(trades.insert(), [trade])
    found = get_json(client, f"{API}/bots/a/marks?from=2026-01-31T10:00:00Z")
    assert (found["from"], found["to"]) == ("2026-01-31T10:00:00Z", "2026-01-31T12:00:00Z")
    marks = [(mark["kind"], mark["timestamp"][11:16], mark["title"]) for mark in found["marks"]]
    assert marks == [
        ("alert", "02:00", "drawdown above 20%"),
        ("event", "11:00", "restarted"),
        ("alert", "11:30", "drawdown above 20%"),
        ("flow", "11:30", "withdrawal"),
        ("alert", "11:40", "drawdown above 20%"),
        ("trade", "11:45", "short X"),
    ]
    opened, event, resolved, flow, _, closed = found["marks"]
    assert (opened["id"], opened["severity"], opened["until"]) == ("alert-2", "CRITICAL", None)
    assert (event["text"], event["level"]) == ("<b>", "warning")
    assert (resolved["id"], resolved["until"]) == ("alert-1", "2026-01-31T12:00:00Z")
    assert (flow["amount"], flow["currency"], closed["amount"]) == (-50, "USDT", -4)
    assert set(found["leftOut"].values()) == {0}


def test_of_many_marks_the_gravest_of_each_part_are_answered(
    client: FlaskClient, performance: Database
) -> None:
    """Of three events in a hundredth of the range the error is there; a shorter range has all."""
    levels: list[Literal["info", "error", "warning"]] = ["info", "error", "warning"]
    store(
        performance,
        *(
            Event(bot="a", timestamp=NOON - HOUR + timedelta(seconds=place), title=level, level=level)
            for place, level in enumerate(levels)
        ),
    )
    found = get_json(client, f"{API}/bots/a/marks?from=2026-01-30T12:00:00Z")
    assert [(mark["title"], mark["others"]) for mark in found["marks"]] == [("error", 2)]
    assert found["leftOut"] == {"alert": 0, "event": 2, "flow": 0, "trade": 0}
    close = get_json(client, f"{API}/bots/a/marks?from=2026-01-31T10:59:00Z&to=2026-01-31T11:00:30Z")
    assert [mark["title"] for mark in close["marks"]] == levels
    assert (
        "before `to`"
        in body(client.get(f"{API}/bots/a/marks?from=2026-02-01T00:00:00Z"))["faults"][0]["message"]
    )


def test_flows_of_equity_records_are_marked_to_the_minute(client: FlaskClient, performance: Database) -> None:
    """Where a bot sends no `flow` records: its minutes have them; an hour without minutes has its own."""
    earn(performance, bar("a", 3, 110, 10), bar("a", 30, 90, -20))
    minute = bar("a", 2.5, 110, 10)
    with performance.write() as connection:
        connection.execute(equity_minutes.insert(), [minute])
    found = get_json(client, f"{API}/bots/a/marks?from=2026-01-29T12:00:00Z")["marks"]
    assert [(mark["timestamp"][:16], mark["title"], mark["amount"]) for mark in found] == [
        ("2026-01-30T06:00", "withdrawal", -20),
        ("2026-01-31T09:30", "deposit", 10),
    ]
