"""`botwatch import`: the events of files become records that lead to the same events again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from botwatch import cli
from services.recorder.replay.wire_records import wire_records
from shared.analytics.events import (
    ContractTerms,
    EquityPoint,
    Execution,
    Flow,
    FundingPaid,
    OrderUpdate,
    PositionReport,
    Quote,
    ReportedMetrics,
    TradeReport,
    TradingEvent,
    event_from_record,
)
from shared.schema.decoding import decode
from shared.schema.records import Performance
from shared.schema.timestamps import from_epoch_ms
from tests.unit.client.fake_server import CannedResponse, FakeServer

AT = 1_769_860_800_000
TERMS = ContractTerms("inverse", 100.0, 1.0, "BTC", "USD")
EVENTS: list[TradingEvent] = [
    Quote(AT, "BTC/USDT", 60_000.0),
    OrderUpdate(AT, "o-1", "BTC/USDT", "buy", 1.0, "submitted", 59_990.0, 3),
    Execution(
        AT, "o-1", "BTC-SWAP", "buy", 1.0, 60_000.0, 1.5, "USDT", "long", TERMS, is_maker=True, sequence=4
    ),
    PositionReport(AT, "BTC-SWAP", -2.0, 1.0, 2.0, 3.0, 4.0, AT - 1000, "p-7", TERMS),
    TradeReport(AT, "BTC/USDT", "short", 1.0, 2.0, 1.0, 0.9, AT - 1000, 0.1, -0.2),
    FundingPaid(AT, -0.5, "BTC/USDT", "", "USDT"),
    Flow(AT, 500.0, "USDT"),
    EquityPoint(AT, 12_500.0, 10.0, -3.0, "USDT", 200.0, 50.0),
]


@pytest.fixture
def fake_server() -> Iterator[FakeServer]:
    server = FakeServer()
    yield server
    server.close()


def test_every_event_survives_the_wire() -> None:
    """The server accepts the records, and reads the same events from them."""
    encoded = msgspec.json.encode(list(wire_records(EVENTS, "b")))
    decoded = decode(encoded, arrival=from_epoch_ms(AT))
    assert decoded.faults == []
    assert [event_from_record(record) for record in decoded.records] == EVENTS


def test_reported_metrics_survive_the_wire() -> None:
    reported = Performance(bot="x", timestamp=from_epoch_ms(AT), portfolio_value=5.0, win_rate=65.2)
    [made] = wire_records([ReportedMetrics(AT, 5.0, reported)], "b")
    assert (made["bot"], made["portfolioValue"], made["winRate"]) == ("b", 5.0, 65.2)
    assert decode(msgspec.json.encode([made]), arrival=from_epoch_ms(AT)).faults == []


def test_equal_events_stay_apart_and_the_same_file_gives_the_same_ids() -> None:
    """Two fills without ids, alike in everything, are two."""
    fill = Execution(AT, "", "BTC/USDT", "buy", 1.0, 60_000.0)
    first, second = wire_records([fill, fill], "b")
    assert first["id"] != second["id"]
    assert first["orderId"] == first["fillId"] == first["id"]
    assert [first, second] == list(wire_records([fill, fill], "b"))
    assert next(wire_records([fill], "c"))["id"] != first["id"]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    fills, equity = tmp_path / "fills.csv", tmp_path / "equity.csv"
    rows = "".join(f"2026-01-31T12:{minute:02}:00Z,X,buy,1,{minute + 1}\n" for minute in range(60))
    fills.write_text(f"time,symbol,side,quantity,price\n{rows}", encoding="utf-8")
    equity.write_text("time,equity\n2026-01-31T11:00:00Z,1000\n2026-01-31T13:00:00Z,1010\n", encoding="utf-8")
    return [str(fills), str(equity)]


def test_files_are_sent_as_one_past(
    files: list[str], fake_server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the order of time, in batches; a log that is full is waited for."""
    answers = iter([CannedResponse(503, {"error": "the log is full"}, {"Retry-After": "0"})])
    fake_server.answer = lambda _: next(answers, CannedResponse(202, {"accepted": 1}))
    assert cli.main(["import", *files, "--bot", "b", "--url", fake_server.url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "bot": "b", "sent": 62, "kinds": {"equity": 2, "fill": 60},
        "from": "2026-01-31T11:00:00.000Z", "to": "2026-01-31T13:00:00.000Z",
    }  # fmt: skip
    sent: list[dict[str, Any]] = fake_server.asked[-1].body
    assert [one["timestamp"] for one in sent] == sorted(one["timestamp"] for one in sent)
    assert (sent[0]["kind"], sent[-1]["kind"]) == ("equity", "equity")


def test_a_dry_run_sends_nothing(
    files: list[str], fake_server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["import", *files, "--bot", "b", "--url", fake_server.url, "--dry-run"]) == 0
    assert "would send 62 records of b" in capsys.readouterr().out
    assert fake_server.asked == []


def test_a_wrong_row_sends_nothing(
    tmp_path: Path, fake_server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named with its line and column."""
    path = tmp_path / "equity.csv"
    path.write_text("time,equity\n2026-01-31T11:00:00Z,1000\nyesterday,1\n", encoding="utf-8")
    assert cli.main(["import", str(path), "--bot", "b", "--url", fake_server.url]) == 1
    assert "yesterday" in capsys.readouterr().err
    assert fake_server.asked == []
