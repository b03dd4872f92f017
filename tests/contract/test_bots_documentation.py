"""The examples of docs/bots.md are valid: records, settings, calls of the client, and a replay."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from botwatch.cli import main
from botwatch.record_methods import RecordMethods
from services.recorder.replay.files import FORMATS
from shared.runtime.config.documents import BotSection, PerformanceLogger, SymbolSection
from shared.runtime.settings import REPOSITORY
from shared.schema.decoding import decode
from shared.schema.records import KINDS, HostRecord, TradeMatching

PAGE = (REPOSITORY / "docs" / "bots.md").read_text(encoding="utf-8")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_table_has_every_kind_of_a_bot() -> None:
    """Those of hosts are the collector's."""
    kinds = {kind for kind, record in KINDS.items() if not issubclass(record, HostRecord)}
    assert {found for found in re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) if found in KINDS} == kinds


def test_the_records_are_accepted() -> None:
    """All that the page shows, in JSON."""
    found = re.findall(r'\{"kind".*?\}', PAGE)
    assert len(found) > 5
    decoded = decode("\n".join(found).encode(), arrival=NOON, lines=True)
    assert decoded.faults == []


def test_the_settings_are_valid() -> None:
    """And the page describes every one."""
    [text] = [block for block in blocks("json") if block.startswith('"analytics"')]
    msgspec.json.decode(f"{{{text}}}", type=PerformanceLogger)
    names = [
        field.encode_name for kind in (BotSection, SymbolSection) for field in msgspec.structs.fields(kind)
    ]
    assert [name for name in names if f"`{name}`" not in PAGE] == []
    assert [name for name in get_args(TradeMatching) if f"`{name}`" not in PAGE] == []


class CollectedRecords(RecordMethods):
    """Keeps what a bot would publish."""

    def __init__(self) -> None:
        self.bot = "b"
        self.records: list[Any] = []

    def log_record(self, made: Any) -> str:
        """Keep the record."""
        self.records.append(made)
        return str(made["id"])


def test_the_calls_for_real_accounts_work() -> None:
    """The server accepts their records."""
    [code] = [block for block in blocks("python") if "Contract(" in block]
    monitor = CollectedRecords()
    exec(compile(code, "docs/bots.md", "exec"), {"monitor": monitor})  # noqa: S102 - our own page
    assert decode(json.dumps(monitor.records).encode(), arrival=NOON).faults == []
    assert [one["kind"] for one in monitor.records] == [
        *("equity", "fill", "position", "trade", "funding", "flow")
    ]


def test_the_replay_gives_the_figures_of_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A P&L of 842.5, a win rate of 50%, a profit factor of 8.232."""
    [rows] = blocks("csv")
    path = tmp_path / "fills.csv"
    path.write_text(rows, encoding="utf-8")
    assert main(["replay", str(path), "--bot", "scalper-1", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)["performance"]
    told = re.search(r"P&L of ([\d.]+), a win rate of ([\d.]+)%, a profit factor of ([\d.]+\d)", PAGE)
    assert told is not None
    expected = [pytest.approx(float(number), abs=0.001) for number in told.groups()]
    assert [figures[name] for name in ("totalPnL", "winRate", "profitFactor")] == expected


def test_the_page_has_every_format() -> None:
    """Of `botwatch replay`."""
    assert [name for name in FORMATS if f"| `{name}` |" not in PAGE] == []
