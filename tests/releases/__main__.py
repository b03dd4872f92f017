"""`python -m tests.releases`: run this checkout for a few seconds and keep what it stored as a release."""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from shared.runtime.settings import REPOSITORY
from shared.version import VERSION
from tests.integration.stack import BotwatchProcess, botwatch_up
from tests.releases import BOT, FOLDER, pack, read_answers
from tests.support import wait_until

OTHER = "dca-1"
BUY = [
    {"kind": "performance", "bot": BOT, "portfolioValue": 12500, "totalPnL": 2500, "sharpeRatio": 1.85,
     "maxDrawdown": 28.5, "winRate": 65.2, "totalTrades": 150},
    {"kind": "equity", "bot": BOT, "equity": 12500, "netFlow": 0},
    {"kind": "heartbeat", "bot": BOT, "intervalSeconds": 30},
    {"kind": "order", "bot": BOT, "orderId": "o1", "symbol": "BTC/USDT", "side": "buy", "type": "limit",
     "quantity": 0.5, "limitPrice": 60000, "decisionPrice": 60000, "status": "submitted"},
    {"kind": "fill", "bot": BOT, "orderId": "o1", "fillId": "f1", "symbol": "BTC/USDT", "side": "buy",
     "quantity": 0.5, "price": 60010, "fee": 12, "feeCurrency": "USDT"},
    {"kind": "event", "bot": BOT, "level": "info", "title": "restarted", "text": "by hand"},
    {"kind": "metric", "bot": BOT, "name": "queueDepth", "value": 3},
    {"kind": "equity", "bot": OTHER, "equity": 1000},
    {"kind": "performance", "bot": OTHER, "portfolioValue": 1000, "maxDrawdown": 31},
]  # fmt: skip
SELL = [
    {"kind": "order", "bot": BOT, "orderId": "o2", "symbol": "BTC/USDT", "side": "sell", "type": "market",
     "quantity": 0.5, "decisionPrice": 61000, "status": "submitted"},
    {"kind": "fill", "bot": BOT, "orderId": "o2", "fillId": "f2", "symbol": "BTC/USDT", "side": "sell",
     "quantity": 0.5, "price": 61000, "fee": 12, "feeCurrency": "USDT"},
    {"kind": "equity", "bot": BOT, "equity": 12971, "netFlow": 0},
    {"kind": "performance", "bot": OTHER, "portfolioValue": 1000, "maxDrawdown": 1},
]  # fmt: skip
SILENCE = {
    "matchers": [{"name": "bot", "value": "dca-*"}],
    "endsAt": "2030-01-01T00:00:00Z", "createdBy": "admin", "comment": "a test bot",
}  # fmt: skip


def main() -> None:
    """Record the release."""
    target = FOLDER / VERSION
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        with botwatch_up(Path(name), REPOSITORY / "deploy" / "config") as stack:
            answers = use(stack)
        pack(Path(name) / "home", target / "home.tar.xz")
    (target / "answers.json").write_text(json.dumps(answers, indent=1, sort_keys=True) + "\n")


def use(stack: BotwatchProcess) -> dict[str, Any]:
    """Send records, acknowledge an alert and silence the other bot; return what the API answers then."""
    stack.ingestion("/api/v1/records", BUY)
    wait_until(lambda: stack.alerts(BOT) and stack.alerts(OTHER), "both alerts are open")
    (alert,) = stack.alerts(BOT)
    acknowledgement = {"by": "admin@company.com", "comment": "looking"}
    stack.dashboard(f"/api/monitoring/alerts/{alert['id']}/acknowledge", acknowledgement)
    stack.dashboard("/api/monitoring/silences", SILENCE)
    time.sleep(2)  # the trade takes a while
    stack.ingestion("/api/v1/records", SELL)
    wait_until(lambda: stack.alerts(OTHER)[0]["status"] == "RESOLVED", "the other alert is resolved")
    path = f"/api/monitoring/performance?bot={BOT}"
    wait_until(lambda: stack.dashboard(path)["expectancy"] is not None, "the trade is computed")
    return read_answers(lambda path: stack.dashboard(f"/api/monitoring{path}"))


if __name__ == "__main__":
    main()
