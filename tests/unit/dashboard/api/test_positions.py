"""The API's open positions, their exposure, and their gauges for Prometheus."""

import json
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from redis import Redis

from services.dashboard import prometheus_exporter
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import Equity
from shared.store.database import Database
from tests.unit.dashboard.sample_data import NOON, POSITION, body, get_json, held, hold

API = "/api/monitoring/positions"


def test_a_position_has_all_that_a_broker_shows(client: FlaskClient, performance: Database) -> None:
    """Liquidation at 88 is |110 - 88| / 110 = 20% away; the fills gave 3 where the broker has 2."""
    hold(performance, held("a", "X", 220, unrealizedPnL=20, foldedQuantity=3, leg="long"))
    found = get_json(client, API)
    assert found["count"] == 1
    assert found["positions"][0] == {
        **POSITION, "bot": "a", "symbol": "X", "quantity": 2, "notional": 220, "unrealizedPnL": 20,
        "leg": "long", "foldedQuantity": 3, "currency": None, "openedAt": "2026-01-31T11:00:00Z",
        "markAt": "2026-01-31T11:59:00Z", "updatedAt": "2026-01-31T12:00:00Z", "ageSeconds": 3600,
        "liquidationDistance": 20, "differsFromBroker": True,
    }  # fmt: skip


def test_positions_like_the_brokers_do_not_differ(client: FlaskClient, performance: Database) -> None:
    """The recorder keeps what the fills gave only where the broker's latest report differed."""
    hold(performance, held("a", "X", 220, foldedQuantity=0), held("a", "Y", 220))
    found = {one["symbol"]: one["differsFromBroker"] for one in get_json(client, API)["positions"]}
    assert found == {"X": True, "Y": False}


def test_exposure_is_summed_by_symbol_side_and_currency(
    client: FlaskClient, performance: Database, redis: Redis
) -> None:
    """A and b are in USDT: X long 300 and short 100, Y long 100: gross 500, net 300, X is 80% of it."""
    for bot, currency in (("a", "USDT"), ("b", "USDT"), ("c", "BTC")):
        RecordLog(redis).append([Equity(bot=bot, timestamp=NOON, equity=1, currency=currency)], "test")
    hold(
        performance,
        held("a", "X", 300, unrealizedPnL=7), held("b", "X", 100, side="short", unrealizedPnL=-2),
        held("b", "Y", 100, quoteCurrency="EUR"), held("c", "Z", 0.5, quoteCurrency="USD"),
        held("c", "W", None, undefined="no_losses"),
    )  # fmt: skip
    found = get_json(client, API)
    usdt, btc = found["exposure"]["USDT"], found["exposure"]["BTC"]
    assert (usdt["long"], usdt["short"], usdt["gross"], usdt["net"]) == (400, 100, 500, 300)
    assert (usdt["concentration"], usdt["largestSymbol"], usdt["unrealizedPnL"]) == (80, "X", 5)
    assert usdt["symbols"]["X"] == {"long": 300, "short": 100, "gross": 400, "net": 200}
    assert usdt["quoteCurrencies"]["EUR"] == {"long": 100, "short": 0, "gross": 100, "net": 100}
    assert (btc["gross"], btc["undefined"]) == (0.5, 1)
    assert (found["total"]["gross"], found["total"]["net"]) == (None, None)
    assert "BTC, USDT" in found["total"]["reason"]
    only = get_json(client, f"{API}?symbol=X")
    assert (only["count"], only["total"]["gross"], only["total"]["net"]) == (2, 400, 200)


def test_positions_are_paged(client: FlaskClient, performance: Database) -> None:
    """Pages follow each other by bot, symbol and leg, whatever stands in the names."""
    hold(performance, held("a/b", "X,Y", 1), held("a/b", "X,Y", 1, leg="2"), held("b", "é", 1))
    first = get_json(client, f"{API}?limit=2")
    assert ([one["leg"] for one in first["positions"]], first["count"]) == ([None, "2"], 3)
    rest = get_json(client, f"{API}?limit=2&after={quote(json.dumps(first['page']['next']))}")
    assert ([one["symbol"] for one in rest["positions"]], rest["page"]["next"]) == (["é"], None)


def test_wrong_questions_after_positions_are_refused(client: FlaskClient) -> None:
    answer = client.get(f"{API}?after=x&limit=0&bots=a")
    assert {fault["path"] for fault in body(answer)["faults"]} == {"after", "limit", "bots"}
    assert client.get(f"{API}?bot=nobody").status_code == 404
    assert get_json(client, API)["positions"] == []


def test_metrics_have_the_largest_positions(
    client: FlaskClient, performance: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Legs of a symbol and side are one series; a sum with an unknown part is left out."""
    hold(
        performance,
        held("a", "X", 200, unrealizedPnL=-5), held("a", "X", 100, leg="2", unrealizedPnL=1),
        held("a", "Y", 150, side="short", unrealizedPnL=2), held("b", "Z", None), held("b", "V", 1),
        held("b", "W", 2), held("b", "W", None, leg="2"),
    )  # fmt: skip
    monkeypatch.setattr(prometheus_exporter, "MAX_POSITIONS", 4)
    lines = client.get("/metrics").text.splitlines()
    samples = [line for line in lines if line.startswith("botwatch_bot_position")]
    assert samples == [
        'botwatch_bot_position_quantity{bot="a",side="long",symbol="X"} 4.0',
        'botwatch_bot_position_quantity{bot="a",side="short",symbol="Y"} 2.0',
        'botwatch_bot_position_quantity{bot="b",side="long",symbol="W"} 4.0',
        'botwatch_bot_position_quantity{bot="b",side="long",symbol="V"} 2.0',
        'botwatch_bot_position_notional{bot="a",side="long",symbol="X"} 300.0',
        'botwatch_bot_position_notional{bot="a",side="short",symbol="Y"} 150.0',
        'botwatch_bot_position_notional{bot="b",side="long",symbol="V"} 1.0',
        'botwatch_bot_position_unrealized_pnl{bot="a",side="long",symbol="X"} -4.0',
        'botwatch_bot_position_unrealized_pnl{bot="a",side="short",symbol="Y"} 2.0',
        "botwatch_bot_positions_dropped 1.0",
    ]
    monkeypatch.setattr(prometheus_exporter, "MAX_POSITIONS_PER_BOT", 3)
    lines = client.get("/metrics").text.splitlines()
    assert {line.split('"')[1] for line in lines if line.startswith("botwatch_bot_position_quantity{")} == {
        "a"
    }
    assert "botwatch_bot_positions_dropped 3.0" in lines
