"""`botwatch import` into a running Botwatch: figures of the past, and no alert of today."""

from pathlib import Path

import pytest

from botwatch import cli
from tests.integration.stack import BotwatchProcess
from tests.support import wait_until

pytestmark = pytest.mark.integration

BOT = "imported"


def test_an_imported_past_counts_once_and_opens_no_alert(
    stack: BotwatchProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten round trips that gain 1 each, imported twice, with a drawdown of 50% that is long over."""
    rows, equity = [], ["2025-03-01T00:00:00Z,1000", "2025-03-01T01:00:00Z,500", "2025-03-01T02:00:00Z,1000"]
    for hour in range(3, 13):
        hours = f"2025-03-01T{hour:02}"
        rows += [f"{hours}:00:00Z,X/USDT,buy,1,100", f"{hours}:30:00Z,X/USDT,sell,1,101"]
        equity.append(f"2025-03-01T{hour:02}:30:00Z,{998 + hour}")
    fills, curve = tmp_path / "fills.csv", tmp_path / "equity.csv"
    fills.write_text("\n".join(["time,symbol,side,quantity,price", *rows]), encoding="utf-8")
    curve.write_text("\n".join(["time,equity", *equity]), encoding="utf-8")
    url = f"http://127.0.0.1:{stack.ports['INGESTION_PORT']}"
    for _ in range(2):
        assert cli.main(["import", str(fills), str(curve), "--bot", BOT, "--url", url]) == 0
    assert "sent 33 records of imported" in capsys.readouterr().out

    def figures() -> tuple[object, ...]:
        known = stack.dashboard("/api/monitoring")["performance"].get(BOT, {})
        return tuple(known.get(name) for name in ("totalTrades", "winRate", "portfolioValue"))

    wait_until(lambda: figures() == (10, 100.0, 1010.0), "the figures of the past")
    # What is logged now is evaluated after it: had the past opened an alert, it would be there.
    stack.ingestion("/api/v1/equity", {"bot": "after-import", "equity": 1})
    wait_until(lambda: "after-import" in stack.dashboard("/api/monitoring")["performance"], "the next record")
    # The maximum drawdown is a figure of the whole past, and holds today: its rule may fire.
    assert {one["details"]["rule"] for one in stack.alerts(BOT)} <= {"maxDrawdown"}
