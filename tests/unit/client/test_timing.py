"""Timing of orders and of the bot's own work, and what a bot logs as events."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from botwatch import BotwatchError, EventHandler
from botwatch.record_methods import RecordMethods
from botwatch.records import Record
from botwatch.validation import validate_records


class Monitor(RecordMethods):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        self.bot = "b"
        self.logged: list[Record] = []

    def log_record(self, made: Record) -> str:
        """Keep a valid record."""
        validate_records([made])
        self.logged.append(made)
        return str(made["id"])

    def statuses(self) -> list[Any]:
        """Return what happened: the status of an order, or the kind of another record."""
        return [one.get("status", one["kind"]) for one in self.logged]


@pytest.fixture
def monitor() -> Monitor:
    return Monitor()


def test_an_order_that_is_filled(monitor: Monitor) -> None:
    """Submitted before the call of the exchange, acknowledged when it has answered."""
    with monitor.order("BTC/USDT", "buy", 2, type="limit", limit_price=10, decision_price=9.9) as order:
        assert monitor.statuses() == ["submitted"]
    order.filled(10, 1.5, fee=0.1, fee_currency="USDT")
    order.filled(10.1, 0.5)
    assert monitor.statuses() == ["submitted", "acknowledged", "fill", "fill"]
    assert {one["orderId"] for one in monitor.logged} == {order.order_id}
    assert [(one["fillId"], one["quantity"]) for one in monitor.logged if one["kind"] == "fill"] == [
        (f"{order.order_id}-1", 1.5),
        (f"{order.order_id}-2", 0.5),
    ]
    assert (monitor.logged[0]["limitPrice"], monitor.logged[0]["decisionPrice"]) == (10, 9.9)


def test_a_market_order_that_is_filled_at_once(monitor: Monitor) -> None:
    """Without a quantity the whole order is filled."""
    with monitor.order("BTC/USDT", "sell", 2, order_id="mine") as order:
        order.filled(10, fill_id="f-1")
    assert monitor.statuses() == ["submitted", "acknowledged", "fill", "filled"]
    assert (monitor.logged[2]["fillId"], monitor.logged[2]["quantity"]) == ("f-1", 2)


def test_an_order_that_fails(monitor: Monitor) -> None:
    """The reason is the exception's, which goes on; a fault after the answer rejects nothing."""
    with pytest.raises(ConnectionError), monitor.order("X", "buy", 1):
        raise ConnectionError("timed out")
    assert (monitor.statuses(), monitor.logged[-1]["reason"]) == (
        ["submitted", "rejected"],
        "ConnectionError: timed out",
    )
    with pytest.raises(KeyError), monitor.order("X", "buy", 1) as order:
        order.acknowledged()
        raise KeyError
    order.cancelled()
    assert monitor.statuses()[2:] == ["submitted", "acknowledged", "cancelled"]


def test_an_order_in_asyncio(monitor: Monitor) -> None:
    async def trade() -> None:
        async with monitor.order("X", "buy", 1):
            await asyncio.sleep(0)

    asyncio.run(trade())
    assert monitor.statuses() == ["submitted", "acknowledged"]


def test_timed_work(monitor: Monitor) -> None:
    """A block, a function and a coroutine; what fails is timed too, and results and names are kept."""

    @monitor.timed("double")
    def double(number: int) -> int:
        return 2 * number

    @monitor.timed("later")
    async def later() -> None:
        raise KeyError

    with monitor.timed("block"):
        assert (double(2), double.__name__) == (4, "double")
    with pytest.raises(KeyError):
        asyncio.run(later())
    assert [one["name"] for one in monitor.logged] == ["double", "block", "later"]
    assert all(one["value"] >= 0 and one["unit"] == "ms" for one in monitor.logged)


@pytest.fixture
def logger(monitor: Monitor) -> Iterator[logging.Logger]:
    """Return a logger whose warnings become events."""
    logger = logging.getLogger("mybot.exchange")
    handler = EventHandler(monitor)
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)


def test_warnings_and_errors_become_events(monitor: Monitor, logger: logging.Logger) -> None:
    """With the traceback; long messages are cut at their limits, and empty ones have a title."""
    logger.info("quiet")
    logger.warning("late by %d ms\nsecond line", 300)
    logger.error("y" * 300, exc_info=RuntimeError("x" * 5000))
    logger.error("")
    first, second, third = monitor.logged
    assert (first["level"], first["title"], first["text"]) == (
        "warning",
        "late by 300 ms",
        "second line\nlogger mybot.exchange",
    )
    assert (second["level"], second["title"], len(second["text"])) == ("error", "y" * 256, 4096)
    assert second["text"].endswith("x" * 100)
    assert third["title"] == "ERROR"


def test_the_handler_never_feeds_itself_and_never_raises(
    monitor: Monitor,
    logger: logging.Logger,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Botwatch's own warnings become no events; what cannot be logged is said as logging does."""
    handler = logger.handlers[0]
    own = logging.getLogger("botwatch.sender")
    own.addHandler(handler)
    own.warning("records cannot be sent")
    own.removeHandler(handler)
    assert monitor.logged == []

    def fail(_: Record) -> str:
        raise BotwatchError("no")

    monkeypatch.setattr(monitor, "log_record", fail)
    logger.error("lost")
    assert "Logging error" in capsys.readouterr().err
