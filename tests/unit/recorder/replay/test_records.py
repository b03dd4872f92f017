"""Records of Botwatch: a replay gives the figures of the recorder, in any order of the lines."""

import json
from datetime import UTC, datetime
from itertools import islice
from random import Random
from typing import Any

import msgspec
import pytest

from botwatch.demo.prices import load_bars
from botwatch.demo.replay import ReplayPosition
from botwatch.demo.replay import replay as demo
from shared.analytics.account import BotAccount
from shared.analytics.events import Execution, Quote, event_from_record, event_order
from shared.analytics.rates import QuotedRates
from shared.analytics.settings import AnalyticsSettings
from shared.schema.decoding import decode
from shared.schema.records import encode_record
from tests.unit.recorder.replay.conftest import Replayer

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def made() -> list[dict[str, Any]]:
    """Return what the demo bot reports over 300 bars."""
    begin = ReplayPosition(session="s", history=300, began=NOON, at=NOON)
    return [record for _, made in islice(demo("b", begin, load_bars(), lambda: NOON), 300) for record in made]


def folded(made: list[dict[str, Any]]) -> dict[str, Any]:
    records = decode(msgspec.json.encode(made), arrival=NOON).records
    events = sorted((event for one in records if (event := event_from_record(one))), key=event_order)
    rates = QuotedRates()
    for event in events:
        if isinstance(event, Quote | Execution):
            rates.add(event)
    account = BotAccount(AnalyticsSettings(), rates=rates)
    for event in events:
        account.apply(event)
    record = account.performance("b")
    assert record is not None
    found: dict[str, Any] = json.loads(encode_record(record))
    return found


def lines(records: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def test_the_figures_are_those_of_the_fold(made: list[dict[str, Any]], replayer: Replayer) -> None:
    """In order, shuffled, with records twice, over two files, as lines and as an array."""
    expected = folded(made)
    assert expected["totalTrades"] > 5
    shuffled = [*made, *made[::3]]
    Random(1).shuffle(shuffled)
    for paths in (
        [replayer.file("a.jsonl", lines(made))],
        [replayer.file("b.jsonl", lines(shuffled))],
        [replayer.file("c.jsonl", lines(made[:900:2])), replayer.file("d.jsonl", lines(made))],
        [replayer.file("e.json", json.dumps(made))],
    ):
        assert replayer.result(*paths)["performance"] == expected


def test_records_of_other_bots_are_left_out(made: list[dict[str, Any]], replayer: Replayer) -> None:
    """They are named if there is none of the bot."""
    others = [{**record, "bot": "other"} for record in made]
    expected = replayer.result(replayer.file("a.jsonl", lines(made)))["performance"]
    assert replayer.result(replayer.file("b.jsonl", lines(others + made)))["performance"] == expected
    [fault] = replayer.faults(replayer.file("c.jsonl", lines(others[:7])))
    assert fault == "c.jsonl: expected records of bot 'b'; the file has those of other; 7 rows were read"


def test_prices_of_other_bots_are_rates(replayer: Replayer) -> None:
    """A position in USDJPY in a USD account: 1,000·(151-150) JPY at 150 JPY/USD, quoted by another bot."""
    fill = {"kind": "fill", "bot": "b", "symbol": "USDJPY-X", "quantity": 1000, "quoteCurrency": "JPY"}
    at = 1_767_261_600_000
    made = [
        {**fill, "timestamp": at, "orderId": "1", "fillId": "1", "side": "buy", "price": 150},
        {**fill, "timestamp": at + 1, "orderId": "2", "fillId": "2", "side": "sell", "price": 151},
        {"kind": "metric", "bot": "x", "timestamp": at, "name": "USD/JPY", "value": 150, "unit": "price"},
    ]
    found = replayer.result(replayer.file("a.jsonl", lines(made)), "--currency", "USD")
    assert [trade["pnl"] for trade in found["trades"]] == pytest.approx([1000 / 150])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"kind": "equity", "bot": "b"', "line 2: not JSON: "),
        (
            '{"kind": "equity", "bot": "b", "timestamp": 1767254400000}',
            "line 2: equity: required, but missing",
        ),
        ('{"kind": "equity", "bot": "b", "equity": 1}', "line 2: timestamp: required in a file, but missing"),
        ('{"kind": "equty", "bot": "b"}', "line 2: kind: expected one of performance, equity, "),
    ],
)
def test_a_wrong_line_names_its_field(line: str, expected: str, replayer: Replayer) -> None:
    """And what was expected."""
    first = '{"kind": "equity", "bot": "b", "equity": 1, "timestamp": 1767254400000}'
    fault, total = replayer.faults(replayer.file("f.jsonl", f"{first}\n{line}\n"))
    assert fault.startswith(f"f.jsonl: {expected}")
    assert total == "f.jsonl: 2 rows were read, 1 of them are wrong; nothing was computed or sent"


def test_the_settings_of_the_bot_and_of_the_command_line(replayer: Replayer) -> None:
    """The command line has precedence over the config document."""
    path = replayer.file(
        "f.jsonl", '{"kind": "equity", "bot": "b", "equity": 120, "timestamp": 1767254400000}\n'
    )
    config = replayer.file("c.json", '{"analytics": {"bots": {"b*": {"startEquity": 100}}}}')
    assert replayer.result(path)["performance"]["totalPnL"] == 0
    assert replayer.result(path, "--config", config)["performance"]["totalPnL"] == 20
    both = replayer.result(path, "--config", config, "--start-equity", "90")
    assert both["performance"]["totalPnL"] == 30


def test_the_text_has_every_metric_with_its_definition(
    made: list[dict[str, Any]], replayer: Replayer
) -> None:
    """A value with its unit, or why it is undefined; closed trades as a table."""
    code, out, err = replayer.run(replayer.file("a.jsonl", lines(made)), "--trades")
    assert (code, err) == (0, "")
    expected = folded(made)
    assert f"  Drawdown max           {expected['maxDrawdown']:.12g} %\n" in out
    assert "      The deepest drawdown so far, at every equity point and from the start" in out
    assert "Undefined: The history is too short to extrapolate." in out
    assert "Low confidence: only " in out
    header, *rows = [line.split("\t") for line in out.partition("Closed trades\n")[2].splitlines()]
    assert len(rows) == expected["totalTrades"]
    pnl = sum(float(row[header.index("pnl")]) for row in rows)
    assert pnl / len(rows) == pytest.approx(expected["expectancy"])
