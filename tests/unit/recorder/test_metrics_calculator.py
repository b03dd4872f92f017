"""The metrics calculator: the same metrics to the last bit, however events arrived."""

import shutil
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from services.recorder import bot_metrics
from services.recorder import metrics_calculator as module
from services.recorder.metrics_calculator import MetricsCalculator
from shared.analytics.account import BotAccount
from shared.analytics.events import event_from_record, event_order
from shared.analytics.settings import AnalyticsSettings
from shared.runtime.config.documents import AnalyticsSection, BotSection, DatabaseSection, PerformanceLogger
from shared.schema.records import AnyRecord, CashFlow, Equity, Fill, Heartbeat, Metric, Order, Performance
from shared.schema.timestamps import epoch_ms, from_store, to_store
from shared.store.analytics_data import EVENT_TABLES, checkpoint_before, newest_checkpoints
from shared.store.database import Database, sqlite_url
from shared.store.records import insert_records
from shared.store.retention import metrics_floor
from shared.store.tables import checkpoints, equity_hours, equity_minutes, samples, trades

pytestmark = pytest.mark.slow  # repeats a story for each kill

START = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Desk:
    """An analyst over a database, with a clock that only tests move."""

    def __init__(self, database: Database, document: PerformanceLogger | None = None) -> None:
        self.database = database
        self.document = document or PerformanceLogger()
        self.seconds = 100.0
        self.now = START + timedelta(days=3)
        self.analyst = self._begin()

    def _begin(self) -> MetricsCalculator:
        analyst = MetricsCalculator(self.database, self.document, lambda: self.now, lambda: self.seconds)
        analyst.start()
        return analyst

    def kill(self) -> None:
        """Lose all that is not in the database."""
        self.analyst = self._begin()

    def feed(self, records: Iterable[AnyRecord]) -> None:
        """Store a batch as the recorder does."""
        with self.database.write() as connection:
            change = self.analyst.write_due(connection, insert_records(connection, records).new)
        self.analyst.apply_committed(change)

    def settle(self) -> None:
        """Let every bot catch up, and write what is due."""
        while self.analyst.is_behind:
            self.analyst.catch_up()
        self.seconds += 1000
        self.feed([])

    def state(self, bot: str = "a") -> bytes:
        """Return the bot's state as it is now."""
        self.settle()
        account = self.analyst._bots[bot].account  # noqa: SLF001 - the state is what counts
        assert account is not None
        return account.to_json()

    def rows(self) -> list[list[tuple[Any, ...]]]:
        """Return all that was written beside the records."""
        self.settle()
        with self.database.read() as connection:
            return [
                [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
                for table in (trades, equity_minutes, equity_hours)
            ]


def story(seed: int, length: int = 120, bot: str = "a") -> list[AnyRecord]:
    """Return the life of a bot: orders, fills in parts, equity, flows, quotes, in the order of time."""
    random = Random(seed)
    at, found, price, cash, held = START, list[AnyRecord](), 100.0, 10_000.0, 0.0
    for step in range(length):
        at += timedelta(milliseconds=random.randint(1, 5_000_000))
        price *= 1 + random.gauss(0, 0.01)
        side = random.choice(("buy", "sell"))
        quantity = float(random.randint(1, 5))
        order = {"bot": bot, "order_id": f"o{step}", "symbol": "X", "side": side, "quantity": quantity}
        found.append(Order(**order, status="submitted", decision_price=price, timestamp=at))  # type: ignore[arg-type]
        for part in (1, 2):
            at += timedelta(milliseconds=random.randint(0, 900))
            found.append(
                Fill(
                    bot=bot, order_id=f"o{step}", fill_id=f"{step}-{part}", symbol="X", side=side,  # type: ignore[arg-type]
                    quantity=quantity / 2, price=price, fee=0.1, timestamp=at,
                )
            )  # fmt: skip
        cash -= (1 if side == "buy" else -1) * quantity * price + 0.2
        held += (1 if side == "buy" else -1) * quantity
        flow = random.choice((0.0, 0.0, 0.0, 500.0, -200.0))
        cash += flow
        if step % 7:
            found.append(Metric(bot=bot, name="X", value=price, unit="price", timestamp=at))
        else:
            cash += 300
            found.append(CashFlow(bot=bot, amount=300, timestamp=at, id=f"c{step}"))
            at += timedelta(minutes=random.choice((0, 1, 300)))
        found.append(Equity(bot=bot, equity=cash + held * price, net_flow=flow, timestamp=at, id=f"e{step}"))
    return found


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CATCH_UP_EVENTS", 7)
    monkeypatch.setattr(bot_metrics, "CHECKPOINT_EVENTS", 40)


def folded(records: Iterable[AnyRecord], settings: AnalyticsSettings | None = None) -> BotAccount:
    """Return the account of all records, in the order of folding: what every other way must lead to."""
    account = BotAccount(settings or AnalyticsSettings())
    for event in sorted(
        (event for record in records if (event := event_from_record(record))), key=event_order
    ):
        account.apply(event)
    return account


def pieces(records: list[AnyRecord], size: int) -> list[list[AnyRecord]]:
    return [records[index : index + size] for index in range(0, len(records), size)]


@pytest.fixture
def desk(performance: Database) -> Desk:
    return Desk(performance)


@pytest.mark.parametrize("size", [1, 13, 1000])
def test_metrics_do_not_depend_on_batching(desk: Desk, size: int) -> None:
    for piece in pieces(story(1), size):
        desk.feed(piece)
    assert desk.state() == folded(story(1)).to_json()


def test_a_calculator_killed_after_every_batch_ends_with_the_same_metrics(desk: Desk) -> None:
    for piece in pieces(story(2), 11):
        desk.feed(piece)
        desk.seconds += 7
        desk.kill()
        desk.analyst.catch_up()  # a piece only
    assert desk.state() == folded(story(2)).to_json()
    assert [row[1] for row in desk.rows()[0]] == list(range(1, folded(story(2)).state.trades.n + 1))


@pytest.mark.parametrize("seed", range(4))
def test_late_events_give_the_same_metrics_as_timely_ones(desk: Desk, seed: int) -> None:
    random = Random(seed)
    mixed = random.sample(story(3), len(story(3)))
    for piece in pieces(mixed, 5):
        desk.feed(piece)
        if desk.analyst.is_behind and random.random() < 0.3:
            desk.analyst.catch_up()
    assert desk.state() == folded(story(3)).to_json()


def test_a_late_event_also_corrects_trades_and_equity_curve(
    desk: Desk, migrated: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    records = story(4)
    forgotten = records.pop(41)
    for piece in pieces(records, 9):
        desk.feed(piece)
        desk.settle()
    desk.feed([forgotten])
    copy = shutil.copy(migrated / "performance.db", tmp_path_factory.mktemp("other"))
    in_time = Database(sqlite_url(Path(copy)))
    other = Desk(in_time)
    other.feed(story(4))
    assert desk.rows() == other.rows()
    in_time.close()


def test_what_is_reported_twice_counts_once(desk: Desk) -> None:
    for piece in pieces(story(5), 10):
        desk.feed(piece)
        desk.feed([record for record in piece if isinstance(record, Fill) or record.id])
    assert desk.state() == folded(story(5)).to_json()


def test_bots_are_apart(desk: Desk) -> None:
    both = sorted([*story(6, bot="a"), *story(7, bot="b")], key=lambda record: record.at)
    for piece in pieces(both, 23):
        desk.feed(piece)
    assert (desk.state("a"), desk.state("b")) == (folded(story(6)).to_json(), folded(story(7)).to_json())


def test_metrics_are_published_at_most_once_per_interval(desk: Desk) -> None:
    records = story(8)
    desk.feed(records[:50])
    desk.settle()
    first = desk.analyst.due_records()["a"]
    desk.analyst.mark_published(["a"])
    desk.feed(records[50:])
    assert desk.analyst.due_records() == {}
    assert 1 < desk.analyst.wait_ms(5000) <= 1001
    desk.seconds += 1
    last = desk.analyst.due_records()["a"]
    desk.analyst.mark_published(["a"])
    assert (first.at, last.at) == (records[49].at, records[-1].at)
    desk.seconds += 60
    assert desk.analyst.due_records() == {}
    assert last == folded(records).performance("a")


def test_metrics_stored_but_not_published_before_a_crash_are_published(desk: Desk) -> None:
    desk.feed(story(9))
    desk.kill()
    desk.settle()
    assert desk.analyst.due_records()["a"] == folded(story(9)).performance("a")


def test_computed_records_do_not_trigger_further_computed_records(desk: Desk) -> None:
    desk.feed([Performance(bot="a", source="computed", portfolio_value=1.0, timestamp=START)])
    desk.settle()
    assert desk.analyst.due_records() == {}


def test_a_bot_that_only_reports_portfolio_values_has_a_computed_drawdown(desk: Desk) -> None:
    values = (100.0, 120.0, 90.0)
    desk.feed(
        [
            Performance(bot="a", portfolio_value=value, timestamp=START + index * SECOND)
            for index, value in enumerate(values)
        ]
    )
    desk.settle()
    assert desk.analyst.due_records()["a"].max_drawdown == pytest.approx(25)


def test_new_settings_recompute_the_metrics(performance: Database) -> None:
    desk = Desk(performance)
    desk.feed(story(10))
    desk.settle()
    bots = {"a": BotSection(start_equity=9_000.0, annualisation=252)}
    desk.document = PerformanceLogger(analytics=AnalyticsSection(bots=bots))
    desk.kill()
    settings = AnalyticsSettings(start_equity=9_000.0, annualisation=252)
    assert desk.state() == folded(story(10), settings).to_json()


def test_checkpoints_are_thinned_out_and_never_wrong(desk: Desk) -> None:
    records = story(11, length=400)
    for piece in pieces(records, 30):
        desk.feed(piece)
        desk.settle()
    with desk.database.read() as connection:
        known = list(connection.execute(select(checkpoints.c.until).order_by(checkpoints.c.until)).scalars())
        for until in known:
            found = checkpoint_before(connection, "a", 1 + epoch_ms(from_store(until)))
            assert found is not None
            assert found.state == folded(r for r in records if to_store(r.at) <= until).to_json().decode()
    assert len({until[:10] for until in known}) > 5
    assert len(known) <= len({until[:10] for until in known}) + 1


def test_rows_may_go_only_up_to_a_checkpoint_and_what_is_older_is_left_out(performance: Database) -> None:
    desk = Desk(performance, PerformanceLogger(database=DatabaseSection(retention_days=2)))
    records = story(12, length=300)
    assert metrics_floor(performance, desk.now, 2)("a") is None
    for piece in pieces(records, 30):
        desk.feed(piece)
        desk.settle()
    desk.now = records[-1].at
    base = metrics_floor(performance, desk.now, 2)("a")
    assert base is not None
    assert base < desk.now - timedelta(days=2)
    before = desk.state()
    with performance.write() as connection:
        for table in ("equity", "fills", "orders", "samples", "flows"):
            connection.exec_driver_sql(f"DELETE FROM {table} WHERE timestamp <= '{to_store(base)}'")  # noqa: S608
    desk.feed([Equity(bot="a", equity=1.0, timestamp=START)])
    assert desk.state() == before
    late = Equity(bot="a", equity=1.0, timestamp=base + SECOND)
    desk.feed([late])
    assert desk.state() == folded([*records, late]).to_json()


def test_a_checkpoint_of_the_previous_release_covers_deleted_events(
    performance: Database,
) -> None:
    desk = Desk(performance, PerformanceLogger(database=DatabaseSection(retention_days=2)))
    records = story(15, length=300)
    for piece in pieces(records, 30):
        desk.feed(piece)
        desk.settle()
    desk.now = records[-1].at
    before, base = desk.state(), metrics_floor(performance, desk.now, 2)("a")
    assert base is not None
    with performance.write() as connection:
        for table in ("equity", "fills", "orders", "samples", "flows"):
            connection.exec_driver_sql(f"DELETE FROM {table} WHERE timestamp <= '{to_store(base)}'")  # noqa: S608
        older = func.replace(checkpoints.c.state, '"version":4', '"version":2')
        connection.execute(update(checkpoints).values(state=older))
    desk.kill()
    assert desk.state() == before


def test_a_bot_that_is_long_silent_is_not_taken_up_until_it_is_there_again(desk: Desk) -> None:
    records = story(13)
    desk.feed(records[:200])
    desk.settle()
    desk.now += timedelta(days=400)
    desk.kill()
    assert not desk.analyst.is_behind
    desk.feed(records[200:])
    assert desk.state() == folded(records).to_json()


def test_heartbeats_do_not_make_a_silent_bot_a_new_one(desk: Desk) -> None:
    """More records come than are stored of it, but its metrics are made from others."""
    first, second = (
        Equity(bot="a", equity=float(n), timestamp=START + timedelta(seconds=n)) for n in (100, 90)
    )
    desk.feed([second])
    desk.now += timedelta(days=400)
    desk.kill()
    desk.feed([first, *(Heartbeat(bot="a", timestamp=START + timedelta(seconds=n)) for n in range(9))])
    assert desk.state() == folded([second, first]).to_json()


def test_a_bot_whose_rows_are_gone_continues_from_its_checkpoint(desk: Desk) -> None:
    """Retention deleted them; the metrics still count them."""
    records = story(13)
    desk.feed(records)
    desk.settle()
    with desk.database.write() as connection:
        for table in (*EVENT_TABLES, samples):
            connection.execute(delete(table))
    desk.now += timedelta(days=400)
    desk.kill()
    last = Equity(bot="a", equity=1.0, timestamp=desk.now)
    desk.feed([last])
    assert desk.state() == folded([*records, last]).to_json()


def test_a_new_bot_need_not_catch_up_with_what_is_being_stored(desk: Desk) -> None:
    """Nothing else is stored of it, so a history that is imported is read once."""
    records = story(13)
    for piece in pieces(records, 50):
        desk.feed(piece)
        assert not desk.analyst.is_behind
    assert desk.state() == folded(records).to_json()


def test_a_bot_with_prices_from_before_a_restart_catches_up_with_them(desk: Desk) -> None:
    """At the start prices alone do not make a bot known, but its positions are valued at them."""
    price = Metric(bot="a", name="BTC/USDT", value=90.0, unit="price", timestamp=START)
    fill = Fill(
        bot="a", order_id="o", fill_id="f", symbol="BTC/USDT", side="buy", quantity=1.0, price=100.0,
        timestamp=START + timedelta(seconds=1),
    )  # fmt: skip
    worth = Equity(bot="a", equity=1000.0, timestamp=START + timedelta(seconds=2))
    desk.feed([price])
    desk.kill()
    desk.feed([fill, worth])
    assert desk.state() == folded([price, fill, worth]).to_json()


def test_events_of_one_millisecond_are_never_split_across_batches(desk: Desk) -> None:
    crowd: list[AnyRecord] = [Equity(bot="a", equity=float(n), timestamp=START) for n in range(1, 100)]
    desk.feed(crowd)
    desk.kill()
    assert desk.state() == folded(crowd).to_json()


def test_newest_checkpoints_are_known_after_a_start(desk: Desk) -> None:
    desk.feed(story(14))
    desk.settle()
    with desk.database.read() as connection:
        assert newest_checkpoints(connection) == {"a": epoch_ms(story(14)[-1].at)}
