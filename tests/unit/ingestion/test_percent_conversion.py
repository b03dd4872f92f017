"""Percent conversion: fractions of configured bots become percent, nothing else changes."""

import json
import threading
from typing import Any

import msgspec
import pytest
from redis import Redis

from services.ingestion.config import IngestionSettings
from services.ingestion.http_endpoint import create_ingestion_app
from services.ingestion.percent_conversion import keep_percent, percent_converter
from services.ingestion.redis_listener import ChannelListener, StreamListener
from shared.runtime.config.documents import AnalyticsSection, BotSection
from shared.runtime.redis.record_log import RecordLog
from shared.schema import redis_keys
from shared.schema.records import AnyRecord, Equity, Health, Metric, Performance
from shared.schema.units import PERCENT, metric_fields
from tests.support import wait_until

SECTION = AnalyticsSection(
    bots={
        "f-*": BotSection(unit="fraction"),
        "f-percent": BotSection(unit="percent"),
        "other": BotSection(annualisation=252),
    }
)
REPORT = {
    "kind": "performance",
    "portfolioValue": 1000,
    "maxDrawdown": 0.085,
    "winRate": 0.5,
    "sharpeRatio": 1.5,
    "slippageBps": 2,
}


def shown(record: AnyRecord | None) -> tuple[Any, ...]:
    assert isinstance(record, Performance)
    return (record.portfolio_value, record.max_drawdown, record.win_rate, record.sharpe_ratio, record.var95)


AS_SENT = (1000, 0.085, 0.5, 1.5, None)
IN_PERCENT = (1000, 8.5, 50, 1.5, None)


@pytest.mark.parametrize(
    ("bot", "expected"), [("f-1", IN_PERCENT), ("f-percent", AS_SENT), ("other", AS_SENT), ("x", AS_SENT)]
)
def test_only_shares_of_configured_bots_become_percent(bot: str, expected: tuple[Any, ...]) -> None:
    record = msgspec.convert({**REPORT, "bot": bot}, Performance)
    percent_converter(SECTION)([record])
    assert shown(record) == expected
    assert record.slippage_bps == 2


def test_exactly_the_percent_fields_are_converted() -> None:
    every = {figure.wire: 1 for figure in metric_fields(Performance)}
    record = msgspec.convert({**every, "bot": "f-1"}, Performance)
    percent_converter(SECTION)([record])
    for figure in metric_fields(Performance):
        assert getattr(record, figure.attribute) == (100 if figure.unit is PERCENT else 1), figure.wire


def test_computed_and_other_records_are_not_converted() -> None:
    records: list[AnyRecord] = [
        Performance(bot="f-1", source="computed", max_drawdown=8.5),
        Equity(bot="f-1", equity=0.5),
        Metric(bot="f-1", name="x", value=0.5, unit="percent"),
        Health(host="f-1", cpu_usage=0.5),
    ]
    before = msgspec.to_builtins(records)
    percent_converter(SECTION)(records)
    assert msgspec.to_builtins(records) == before


def test_without_configured_bots_records_are_not_scanned() -> None:
    assert percent_converter(AnalyticsSection()) is keep_percent
    assert percent_converter(AnalyticsSection(bots={"*": BotSection(unit="percent")})) is keep_percent


@pytest.mark.parametrize("path", ["records", "performance"])
def test_the_http_endpoint_appends_percent(redis: Redis, valkey_url: str, path: str) -> None:
    settings = IngestionSettings(redis_url=valkey_url)
    client = create_ingestion_app(settings, 9090, "/metrics", percent_converter(SECTION)).test_client()
    for bot in ("f-1", "x"):
        assert client.post(f"/api/v1/{path}", json={**REPORT, "bot": bot}).status_code == 202
    latest = RecordLog(redis).latest()
    assert shown(latest.get("performance|f-1|reported")) == IN_PERCENT
    assert shown(latest.get("performance|x|reported")) == AS_SENT


def test_the_redis_listener_appends_percent(redis: Redis) -> None:
    stopping = threading.Event()
    stream = StreamListener(redis, stopping, percent_converter(SECTION))
    redis.xadd(redis_keys.BOT_STREAM, {"data": json.dumps({**REPORT, "bot": "f-stream"}).encode()})
    stream.step()
    stream.step()
    channel = ChannelListener(redis, stopping, percent_converter(SECTION))
    channel.thread.start()
    said = json.dumps({**REPORT, "bot": "f-channel"})
    wait_until(lambda: redis.publish(redis_keys.BOT_CHANNEL, said), "somebody listens")
    log = RecordLog(redis)
    wait_until(lambda: log.latest().get("performance|f-channel|reported"), "the record is in the log")
    stopping.set()
    channel.thread.join(timeout=5)
    latest = log.latest()
    for bot in ("f-stream", "f-channel"):
        assert shown(latest.get(f"performance|{bot}|reported")) == IN_PERCENT
