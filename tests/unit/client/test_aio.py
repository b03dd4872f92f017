"""The client in asyncio: logging never holds up the event loop."""

import asyncio
import json
from typing import Any

import pytest
from redis import Redis

from botwatch import AsyncMonitoringController
from shared.schema import redis_keys
from tests.unit.client.fake_server import CannedResponse, FakeServer


def test_a_bot_in_asyncio(valkey_url: str, redis: Redis) -> None:
    """It logs with plain calls, and waits for the end of sending."""

    async def trade() -> None:
        async with AsyncMonitoringController("b", redis_url=valkey_url) as monitor:
            await monitor.start_monitoring()
            async with monitor.order("X", "buy", 1):
                await asyncio.sleep(0)
            assert await monitor.flush()
            assert monitor.stats.sent == 3

    asyncio.run(trade())
    entries: Any = redis.xrange(redis_keys.BOT_STREAM)
    documents = [json.loads(fields[redis_keys.FIELD]) for _, fields in entries]
    found = [one for each in documents for one in (each if isinstance(each, list) else [each])]
    assert [one.get("status") for one in found] == ["ok", "submitted", "acknowledged", "stopped"]


def test_a_cancelled_task_stops_on_purpose(valkey_url: str, redis: Redis) -> None:
    """As Ctrl-C does elsewhere: the absence of the bot opens no alert."""

    async def trade() -> None:
        async with AsyncMonitoringController("b", redis_url=valkey_url) as monitor:
            monitor.log_equity(1)
            await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(trade())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    entries: Any = redis.xrange(redis_keys.BOT_STREAM)
    assert b'"stopped"' in entries[-1][1][redis_keys.FIELD]


def test_reports(fake_server: FakeServer) -> None:
    """A report is asked for, waited for and returned; what fails says why."""
    entry = {"reportId": "r1", "state": "pending"}
    report = {
        "reportId": "r1", "title": "All bots", "generatedAt": "2026-01-31T12:00:00Z",
        "dashboard": {"summary": {"status": "WARNING", "reasons": []}},
        "recommendations": [{"priority": "high", "subject": "b", "text": "Lower the size.", "rule": "x"}],
    }  # fmt: skip
    failed = entry | {"state": "failed", "error": "the disk is full"}
    fake_server.answers = [
        CannedResponse(202, entry),
        CannedResponse(200, entry | {"state": "done"}),
        CannedResponse(200, report),
        CannedResponse(202, failed),
    ]

    async def ask() -> None:
        monitor = AsyncMonitoringController("b", dashboard_url=fake_server.url)
        found = await monitor.generate_monitoring_report()
        assert (found.report_id, found.dashboard.summary.status) == ("r1", "WARNING")
        assert [one.text for one in found.recommendations] == ["Lower the size."]
        assert found.document == report
        with pytest.raises(Exception, match="r1 was not built: the disk is full"):
            await monitor.generate_performance_report("weekly")
        await monitor.close()

    asyncio.run(ask())
    first, *_, last = fake_server.asked
    assert (first.body["kind"], first.body["bots"], "from" in first.body) == ("monitoring", [], True)
    assert (last.body["kind"], last.body["bots"], last.body["period"]) == ("performance", ["b"], "weekly")


def test_it_cannot_be_without_a_background() -> None:
    with pytest.raises(ValueError, match="background: expected True"):
        AsyncMonitoringController("b", background=False)
