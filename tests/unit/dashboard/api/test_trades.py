"""The API's closed trades: from fills or as reported, and their sums."""

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from redis import Redis

from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import Equity, Performance, ReportedTrade
from shared.schema.timestamps import to_store
from shared.store.database import Database
from shared.store.records import insert_records
from shared.store.tables import trades
from tests.unit.dashboard.sample_data import NOON, body, get_json

API = "/api/monitoring"
MINUTE = timedelta(minutes=1)


def faults(client: FlaskClient, path: str) -> dict[str, str]:
    answer = client.get(API + path)
    assert answer.status_code == 400, body(answer)
    return {fault["path"]: fault["message"] for fault in body(answer)["faults"]}


def trade(bot: str, number: int, minutes_ago: float, pnl: float) -> dict[str, Any]:
    closed = NOON - minutes_ago * MINUTE
    return {
        "bot": bot,
        "number": number,
        "symbol": "X",
        "side": "buy",
        "quantity": 2,
        "pnl": pnl,
        "openedAt": to_store(closed - 90 * MINUTE),
        "closedAt": to_store(closed),
        "entryPrice": 10,
        "exitPrice": 11,
        "fees": 0.5,
    }


@pytest.fixture
def traded(performance: Database) -> Database:
    """Return the database with four closed trades of two bots."""
    rows = [
        trade("alpha", 1, 30, 5),
        trade("beta", 1, 20, 3),
        trade("alpha", 2, 10, -2),
        trade("alpha", 3, 0, 1),
    ]
    with performance.write() as connection:
        connection.execute(trades.insert(), rows)
    return performance


@pytest.mark.usefixtures("traded")
def test_closed_trades_come_newest_first_with_count_and_sum(client: FlaskClient) -> None:
    found = get_json(client, f"{API}/trades")
    assert [(one["bot"], one["number"]) for one in found["trades"]] == [
        ("alpha", 3),
        ("alpha", 2),
        ("beta", 1),
        ("alpha", 1),
    ]
    assert (found["bot"], found["from"], found["to"]) == (None, None, "2026-01-31T12:00:00Z")
    assert (found["count"], found["pnl"]) == (4, 7)
    assert found["trades"][2] == {
        "bot": "beta",
        "number": 1,
        "symbol": "X",
        "side": "buy",
        "quantity": 2,
        "openedAt": "2026-01-31T10:10:00Z",
        "closedAt": "2026-01-31T11:40:00Z",
        "durationSeconds": 5400,
        "entryPrice": 10,
        "exitPrice": 11,
        "fees": 0.5,
        "funding": 0,
        "pnl": 3,
        "currency": None,
        "source": "fills",
        "positionSide": None,
        "positionId": None,
        "multiplier": 1,
        "contractType": None,
        "matching": "flat-to-flat",
        "maxAdverse": None,
        "maxFavorable": None,
        "reason": None,
        "undefined": None,
    }


@pytest.mark.usefixtures("traded")
def test_trades_of_a_bot_are_paged_by_number_and_the_sum_is_the_spans(client: FlaskClient) -> None:
    numbers, before = [], ""
    while True:
        found = get_json(client, f"{API}/trades?bot=alpha&limit=2{before}")
        assert (found["count"], found["pnl"]) == (3, 4)
        if not found["trades"]:
            break
        numbers.append([one["number"] for one in found["trades"]])
        before = f"&before={numbers[-1][-1]}"
    assert numbers == [[3, 2], [1]]
    span = "from=2026-01-31T11:35:00Z&to=2026-01-31T11:50:00Z"
    found = get_json(client, f"{API}/trades?bot=alpha&{span}")
    assert ([one["number"] for one in found["trades"]], found["count"], found["pnl"]) == ([2], 1, -2)


@pytest.mark.usefixtures("traded")
def test_wrong_questions_after_trades_are_refused(client: FlaskClient) -> None:
    assert set(faults(client, "/trades?before=3&limit=0&step=1")) == {"before", "limit", "step"}
    assert "requires `bot`" in faults(client, "/trades?before=3")["before"]


def report(database: Database, bot: str, *closed: tuple[str, float, float]) -> None:
    """Store reported trades (id, minutes ago, pnl) in this order."""
    records = [
        ReportedTrade(
            bot=bot, id=number, timestamp=NOON - minutes * MINUTE, symbol="X", side="long", quantity=1,
            entry_price=10, exit_price=10 + pnl, pnl=pnl, reason="stop_loss",
        )
        for number, minutes, pnl in closed
    ]  # fmt: skip
    with database.write() as connection:
        insert_records(connection, records)


def test_reported_trades_come_first_and_the_answer_says_so(client: FlaskClient, traded: Database) -> None:
    """Alpha reports 4 + 5 = 9, its fills give 5 - 2 + 1 = 4; beta reports none, its fills give 3."""
    report(traded, "alpha", ("a", 5, 4), ("b", 7, 5))
    both = get_json(client, f"{API}/trades")
    assert (both["source"], both["count"], both["pnl"]) == ("mixed", 3, 12)
    assert [(one["bot"], one["source"]) for one in both["trades"]] == [
        ("alpha", "reported"),
        ("alpha", "reported"),
        ("beta", "fills"),
    ]
    own = get_json(client, f"{API}/trades?bot=alpha")
    assert (own["source"], own["count"], own["pnl"]) == ("reported", 2, 9)
    first = own["trades"][0]
    assert (first["matching"], first["reason"], first["durationSeconds"]) == ("reported", "stop_loss", None)
    totals = {name: (found["count"], found["pnl"]) for name, found in own["sources"].items()}
    assert totals == {"reported": (2, 9), "fills": (3, 4)}
    fills = get_json(client, f"{API}/trades?bot=alpha&source=fills")
    assert (fills["source"], fills["count"], fills["pnl"]) == ("fills", 3, 4)
    assert "expected one of reported, fills" in faults(client, "/trades?source=both")["source"]


def test_reported_trades_are_paged_by_closing(client: FlaskClient, performance: Database) -> None:
    """A trade that is reported late stands where it closed, and no page has one twice."""
    report(performance, "alpha", ("a", 5, 1), ("b", 9, 2), ("late", 7, 3), ("same", 7, 4))
    pages, before = [], ""
    while found := get_json(client, f"{API}/trades?bot=alpha&limit=2{before}")["trades"]:
        pages.append([one["pnl"] for one in found])
        before = f"&before={found[-1]['number']}"
    assert pages == [[1, 4], [3, 2]]


def test_each_reported_trade_has_the_one_made_from_fills(client: FlaskClient, traded: Database) -> None:
    """Fills give 5 30 and -2 10 minutes ago; reported are 5.04 (under 1% off), -3 twice and 9."""
    report(traded, "alpha", ("a", 30, 5.04), ("again", 10, -3), ("b", 10, -3), ("c", 15, 9))
    with traded.write() as connection:
        connection.execute(trades.update().values(side="buy"))
    found = get_json(client, f"{API}/trades?bot=alpha")["trades"]
    assert [(one["pnl"], one["folded"]) for one in found] == [
        (-3, {"number": 2, "pnl": -2, "agrees": False}),
        (-3, None),
        (9, None),
        (5.04, {"number": 1, "pnl": 5, "agrees": True}),
    ]
    assert "folded" not in get_json(client, f"{API}/trades")["trades"][0]


def test_a_trade_without_a_known_result_says_why(client: FlaskClient, performance: Database) -> None:
    """It counts as a trade, and its missing P&L is counted beside the sum of the others."""
    unknown: dict[str, Any] = trade("alpha", 2, 5, 0) | {"pnl": None, "undefined": "no_losses"}
    with performance.write() as connection:
        connection.execute(trades.insert(), [trade("alpha", 1, 9, 5) | {"undefined": None}, unknown])
    found = get_json(client, f"{API}/trades?bot=alpha")
    assert (found["count"], found["undefined"], found["pnl"]) == (2, 1, 5)
    assert found["trades"][0]["pnl"] is None
    assert found["trades"][0]["undefined"] == {
        "reason": "no_losses",
        "text": "No losing trade or return yet to divide by.",
    }


@pytest.mark.usefixtures("traded")
def test_trades_of_accounts_in_several_currencies_have_no_one_sum(client: FlaskClient, redis: Redis) -> None:
    """Alpha is in USDT (4), beta in BTC (3): 7 of neither."""
    RecordLog(redis).append(
        [
            Performance(
                bot="alpha", timestamp=NOON, source="computed", currency="USDT", trade_matching="fifo",
                trade_differences=2,
            ),
            Equity(bot="beta", timestamp=NOON, equity=1, currency="BTC"),
        ],
        "test",
    )  # fmt: skip
    found = get_json(client, f"{API}/trades")
    assert (found["pnl"], found["pnls"]) == (None, {"BTC": 3, "USDT": 4})
    assert found["pnlReason"] == ("Accounts are in BTC, USDT: set `analytics.reportingCurrency` for one sum.")
    own = get_json(client, f"{API}/trades?bot=alpha")
    assert (own["pnl"], own["currency"], own["trades"][0]["currency"]) == (4, "USDT", "USDT")
    assert (own["matching"], own["tradeDifferences"]) == ("fifo", 2)


def deal(number: int, pnl: float | None, symbol: str = "X", side: str = "buy") -> dict[str, Any]:
    return trade("alpha", number, 60 - number, 0) | {"pnl": pnl, "symbol": symbol, "side": side}


@pytest.fixture
def mixed_results(performance: Database) -> None:
    """Store six trades of alpha: wins, losses, one break-even and one without a known P&L."""
    rows = [
        deal(1, 5), deal(2, -2, "Y"), deal(3, 0, "Y", "sell"), deal(4, None), deal(5, 9, "Y", "sell"),
        deal(6, -1),
    ]  # fmt: skip
    with performance.write() as connection:
        connection.execute(trades.insert(), rows)


@pytest.mark.usefixtures("mixed_results")
@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("symbol=Y", [5, 3, 2]),
        ("side=short", [5, 3]),
        ("result=win", [5, 1]),
        ("result=loss", [6, 2]),
        ("result=break-even", [3]),
        ("symbol=Y&result=win&side=short", [5]),
        ("sort=pnl", [2, 6, 3, 1, 5, 4]),
        ("sort=-pnl", [5, 1, 3, 6, 2, 4]),
        ("sort=closedAt", [1, 2, 3, 4, 5, 6]),
        ("symbol=Z", []),
    ],
)
def test_trades_are_filtered_and_sorted(client: FlaskClient, query: str, numbers: list[int]) -> None:
    """The totals are of those that match; a P&L that is not known is last in either order."""
    found = get_json(client, f"{API}/trades?bot=alpha&{query}")
    assert [one["number"] for one in found["trades"]] == numbers
    assert (found["count"], found["symbols"]) == (len(numbers), ["X", "Y"])


@pytest.mark.usefixtures("mixed_results")
def test_sorted_trades_are_paged_by_the_link(client: FlaskClient) -> None:
    path, found = f"{API}/trades?bot=alpha&sort=-pnl&limit=4", []
    while path:
        answer = client.get(path)
        found += [one["number"] for one in body(answer)["trades"]]
        link = answer.headers.get("Link", "")
        assert link in ("", f'<{link[1:].partition(">")[0]}>; rel="next"')
        path = link[1:].partition(">")[0]
    assert found == [5, 1, 3, 6, 2, 4]


def test_trades_of_all_bots_are_one_list(client: FlaskClient, traded: Database) -> None:
    """Alpha reports -7 and 4, beta's fills give 3: sorted and paged together."""
    report(traded, "alpha", ("a", 5, -7), ("b", 7, 4))
    first = client.get(f"{API}/trades?sort=pnl&limit=2")
    assert [one["pnl"] for one in body(first)["trades"]] == [-7, 3]
    second = client.get(first.headers["Link"][1:].partition(">")[0])
    assert ([one["pnl"] for one in body(second)["trades"]], "Link" in second.headers) == ([4], False)


def test_trades_as_a_table_have_all_that_match(
    client: FlaskClient, performance: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page by page, in order; what a spreadsheet would compute is a text."""
    monkeypatch.setattr("services.dashboard.api.trades.CSV_PAGE", 2)
    rows = [deal(number, 10 - number, "=1+1") for number in range(1, 6)]
    with performance.write() as connection:
        connection.execute(trades.insert(), rows)
    answer = client.get(f"{API}/trades?bot=alpha&result=win&format=csv")
    lines = answer.text.splitlines()
    assert lines[0].startswith("bot,source,number,symbol,side,quantity,entryPrice,exitPrice,fees,funding,pnl")
    assert [line.split(",")[2] for line in lines[1:]] == ["5", "4", "3", "2", "1"]
    assert lines[1].startswith("alpha,fills,5,'=1+1,buy,2")
    assert "filename=trades-alpha.csv" in answer.headers["Content-Disposition"]
    few = client.get(f"{API}/trades?bot=alpha&format=csv&limit=3").text.splitlines()
    assert len(few) == 4
