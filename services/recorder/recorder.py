"""Recorder: writes the log to SQLite in batches, one transaction per database, acked after the commit.

Metrics computed from a batch are appended to the log as records.
"""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

import structlog
from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy import Connection, Table
from sqlalchemy.exc import OperationalError

from services.recorder.conflicts import ConflictReporter
from services.recorder.metrics_calculator import MetricsCalculator
from services.recorder.missed_metrics import MissedMetrics
from services.recorder.rollups import DueRollups, Rollups
from shared.runtime.disk_space import PAUSED, DiskLevel, DiskSpace
from shared.runtime.redis.connection import BLOCK_MS
from shared.runtime.redis.log_trim import FORGOTTEN_AFTER, trim_log
from shared.runtime.redis.record_log import LogFullError, RecordLog, TooManyBotsError
from shared.runtime.redis.stream_reader import LogEntry, LogReader
from shared.runtime.step_latency import StepLatency
from shared.schema import redis_keys
from shared.schema.records import AnyRecord, Check, Health, HostRecord, Performance
from shared.schema.stream_ids import clamp_to_newest, is_after, split_id
from shared.store.check_rollups import roll_up_checks
from shared.store.database import Database
from shared.store.forget import forget_bot
from shared.store.health_rollups import roll_up_hosts
from shared.store.log_offsets import RULE_STATE_READER, read_offset, write_offset
from shared.store.records import insert_records
from shared.store.retrying_writer import RetryingWriter
from shared.store.tables import health_position, performance_position

log = structlog.get_logger()

READ_COUNT = 500
"""Entries per read."""
BATCH_RECORDS = 5_000
BATCH_MS = 100
"""A batch is written when it has this many records, or after this time."""
READ_EVERY_S = 0.02
"""Pause between the reads of a batch, unless they bring much: each costs about as much as ten entries."""
FEW_ENTRIES = 50
CATCH_UP_BUDGET_S = 0.05
"""Time spent catching up before new records are read again, seconds."""
SOURCE = "recorder"
TRIM_INTERVAL_S = 5.0
FORGET_INTERVAL_S = 3600.0
DISK_PAUSE_S = 0.5

ROWS = Counter("botwatch_recorder_rows", "Rows written.", ["database"])
REPEATED = Counter(
    "botwatch_recorder_repeated", "Records left out: already stored under the same ID.", ["database"]
)
CONFLICTING = Counter(
    "botwatch_recorder_contradictory",
    "Records that reuse the ID of another record with different content.",
    ["kind"],
)
DISK_FREE = Gauge("botwatch_disk_free_bytes", "Free space of the disk of the databases.")
DISK_LEVEL = Gauge("botwatch_disk_level", "0: enough free space, 1: low, 2: very low, 3: full.")
COMMIT = Histogram("botwatch_recorder_commit_seconds", "Time to write a batch.", ["database"])


class DatabaseBatch(NamedTuple):
    """Records for one database, and its log offset once they are written."""

    records: list[AnyRecord]
    position: str


class TargetDatabase:
    """One database with its log offset; with a calculator, also what is computed from its rows."""

    def __init__(
        self,
        name: str,
        database: Database,
        table: Table,
        record_log: RecordLog,
        calculator: MetricsCalculator | None = None,
    ) -> None:
        self._calculator = calculator
        self._name = name
        self._database = database
        self._table = table
        self.load_offset(max(record_log.last_id(), record_log.current_id(), key=split_id))

    def load_offset(self, newest: str) -> None:
        """Load the offset from the database, and reset it if it is after `newest`: that log was lost."""
        known = self.stored_offset(redis_keys.RECORDER_GROUP)
        self._stored = self.position = clamp_to_newest(known, newest)
        if self.position != known:
            log.warning("log was reset: its entries are older than the stored offset", database=self._name)

    def stored_offset(self, reader: str) -> str:
        """Return a reader's offset in this database."""
        with self._database.read() as connection:
            return read_offset(connection, self._table, reader)

    def make_durable(self) -> str:
        """Write all commits and the offset to disk, and return the offset."""
        position = self.position
        if position != self._stored:
            with self._database.write() as connection:
                self._write_offset(connection, position)
            self._stored = position
        self._database.checkpoint()
        return position

    def _write_offset(self, connection: Connection, position: str) -> None:
        write_offset(connection, self._table, redis_keys.RECORDER_GROUP, position)

    def write(self, batch: DatabaseBatch) -> list[AnyRecord]:
        """Write the rows, what follows from them, and the offset in one transaction.

        Return the conflicting records: those that reuse the ID of another record.
        """
        conflicting: list[AnyRecord] = []
        if batch.records:
            with COMMIT.labels(self._name).time(), self._database.write() as connection:
                new, conflicting = insert_records(connection, batch.records)
                roll_up_checks(connection, (record for record in new if isinstance(record, Check)))
                roll_up_hosts(connection, (record for record in new if isinstance(record, Health)))
                change = self._calculator.write_due(connection, new) if self._calculator else None
                self._write_offset(connection, batch.position)
            self._stored = batch.position
            if self._calculator and change:
                self._calculator.apply_committed(change)
            ROWS.labels(self._name).inc(len(new))
            REPEATED.labels(self._name).inc(len(batch.records) - len(new))
        self.position = batch.position
        return conflicting

    def forget(self, bot: str, entry: str, beat: Callable[[], object]) -> None:
        """Delete all rows of a bot, as log entry `entry` requests; `beat` is called after each batch.

        The offset is written last: after a kill it starts again, and no later row of the bot exists yet.
        """
        if not is_after(entry, self.position):
            return
        for _ in forget_bot(self._database, bot):
            beat()
        with self._database.write() as connection:
            self._write_offset(connection, entry)
        self._stored = self.position = entry
        if self._calculator:
            self._calculator.forget(bot)
        log.info("bot deleted", bot=bot)

    def write_metrics(self) -> None:
        """Write what the calculator has due, without new rows."""
        if self._calculator:
            with self._database.write() as connection:
                change = self._calculator.write_due(connection)
            self._calculator.apply_committed(change)


class Recorder:
    """Reads the log as consumer group `recorder`."""

    def __init__(
        self,
        record_log: RecordLog,
        performance: Database,
        health: Database,
        calculator: MetricsCalculator,
        stopping: threading.Event,
        now: Callable[[], datetime],
        disk: DiskSpace | None = None,
    ) -> None:
        self._log = record_log
        self._disk = disk
        self._reader = LogReader(record_log, redis_keys.RECORDER_GROUP, batch=READ_COUNT)
        self._calculator = calculator
        self._rollups = Rollups(performance)
        self._due_rollups = DueRollups(health)
        self._missed = MissedMetrics(performance, calculator, now)
        self._performance = TargetDatabase(
            "performance", performance, performance_position, record_log, calculator
        )
        self._health = TargetDatabase("health", health, health_position, record_log)
        self._reader.rewind(min(self._performance.position, self._health.position, key=split_id))
        self._databases = (performance, health)
        self._stopping = stopping
        self._now = now
        self._trimmed = self._forgot = time.monotonic()
        self.writer = RetryingWriter(stopping)
        self._conflicts = ConflictReporter()
        self._stored = StepLatency("stored")

    def step(self) -> None:
        """Write the next batch, publish computed metrics, and do what else is due.

        On a disk that is nearly full, records wait in the log.
        """
        level = self._read_disk()
        if level >= DiskLevel.LOW:
            self._missed.pause()
        if level >= DiskLevel.VERY_LOW:
            self._stopping.wait(DISK_PAUSE_S)
            return
        entries = self._read_batch()
        if self._reader.take_lost_flag():
            newest = self._log.last_id()
            self._performance.load_offset(newest)
            self._health.load_offset(newest)
            self.register_known_bots()
        if entries:
            if not self.writer.write_until_done(lambda: self._write(entries)):
                return
            self._stored.observe_entries(
                (split_id(entry.id)[0] for entry in entries), self._log.clock.now_ms()
            )
            self._reader.ack(entries)
        self._update_metrics()
        if level < DiskLevel.LOW:
            self._rollups.step()
            self._due_rollups.step()
            self._missed.step()
        if time.monotonic() - self._trimmed >= TRIM_INTERVAL_S:
            self._trim()
            self._trimmed = time.monotonic()
        if time.monotonic() - self._forgot >= FORGET_INTERVAL_S:
            self._log.evict_latest(self._now() - FORGOTTEN_AFTER)
            self._forgot = time.monotonic()

    def _read_disk(self) -> DiskLevel:
        """Return how full the disk is, export it, and log a change."""
        if self._disk is None:
            return DiskLevel.OK
        before, state = self._disk.level, self._disk.read()
        if state:
            DISK_FREE.set(state.free)
            DISK_LEVEL.set(state.level)
            if state.level is not before:
                paused = ", ".join(PAUSED[state.level]) or "nothing"
                log.warning("disk space changed", disk=state.level.text, space=str(state), paused=paused)
        return self._disk.level

    def register_known_bots(self) -> None:
        """Count recently active bots towards MAX_BOTS, even if Redis lost them."""
        now = self._now()
        self._log.reindex_latest([(("bot", bot), now) for bot in self._calculator.bots])

    def _trim(self) -> None:
        """Trim entries that both databases have on disk, safe from power failures.

        The checkpoints also keep the WAL small, so that a plain copy of a database file lacks little.
        """
        judged = self._health.stored_offset(RULE_STATE_READER)
        try:
            recorded = min(self._performance.make_durable(), self._health.make_durable(), key=split_id)
        except (OperationalError, OSError) as error:
            log.warning("log not trimmed: database checkpoint failed", error=str(error))
            return
        trim_log(self._log, self._now(), min(recorded, judged, key=split_id))

    def check(self) -> str:
        """Report health; raise the error that prevents writing."""
        for database in self._databases:
            database.raise_if_damaged()
        self.writer.check()
        return f"stored up to entry {self._performance.position}"

    def _read_batch(self) -> list[LogEntry]:
        """Read until the batch is full or its time is up; what arrives later waits for the next batch."""
        entries = latest = self._reader.read(
            1 if self._missed.is_busy else self._calculator.wait_ms(BLOCK_MS)
        )
        deadline = time.monotonic() + BATCH_MS / 1000
        while entries and sum(len(entry.records) for entry in entries) < BATCH_RECORDS:
            if len(latest) < FEW_ENTRIES and self._stopping.wait(READ_EVERY_S):
                break
            left_ms = int((deadline - time.monotonic()) * 1000)
            if left_ms <= 0:
                break
            latest = self._reader.read(left_ms)
            entries = [*entries, *latest]
        return entries

    def _update_metrics(self) -> None:
        """Catch up, write what is due, and append computed metrics to the log."""
        until = time.monotonic() + CATCH_UP_BUDGET_S
        while self._calculator.is_behind and time.monotonic() < until:
            self._calculator.catch_up()
        if self._calculator.is_write_due():
            self.writer.write_until_done(self._performance.write_metrics)
        computed = self._calculator.due_records()
        warnings = self._conflicts.due_events(time.monotonic(), self._now())
        if computed or warnings:
            try:
                self._log.append([*warnings, *computed.values()], SOURCE)
            except LogFullError as error:
                log.error("cannot publish computed metrics; retrying", reason=str(error))
            except TooManyBotsError as error:
                # These bots were just deleted: the next entries say so.
                self._calculator.mark_published(bot for _, bot in error.refused)
            else:
                self._calculator.mark_published(computed)

    def _write(self, entries: list[LogEntry]) -> None:
        """Write entries in order: what precedes a bot's deletion is deleted, what follows stays."""
        begin = 0
        for place, entry in enumerate(entries):
            if entry.forget is not None:
                self._insert(entries[begin:place])
                self._performance.forget(entry.forget, entry.id, self.writer.beat)
                self._missed.forget(entry.forget)
                begin = place + 1
        self._insert(entries[begin:])

    def _insert(self, entries: list[LogEntry]) -> None:
        if self._disk and self._disk.level >= DiskLevel.LOW:
            entries = [entry._replace(records=without_computed(entry.records)) for entry in entries]
        performance, health = split_by_database(entries, self._performance.position, self._health.position)
        for record in (*self._performance.write(performance), *self._health.write(health)):
            CONFLICTING.labels(record.kind).inc()
            self._conflicts.add(record)


def without_computed(records: Sequence[AnyRecord]) -> list[AnyRecord]:
    """Return the records without the metrics that the recorder itself computed."""
    return [one for one in records if not (isinstance(one, Performance) and one.source == "computed")]


def split_by_database(
    entries: Sequence[LogEntry], performance: str, health: str
) -> tuple[DatabaseBatch, DatabaseBatch]:
    """Split `entries` into the records of the performance database and those of the health database.

    `performance` and `health` are the databases' log offsets: entries up to them are already stored.
    """
    return (
        _select(entries, performance, host=False),
        _select(entries, health, host=True),
    )


def _select(entries: Sequence[LogEntry], position: str, *, host: bool) -> DatabaseBatch:
    fresh = [entry for entry in entries if is_after(entry.id, position)]
    records = [
        record for entry in fresh for record in entry.records if isinstance(record, HostRecord) is host
    ]
    return DatabaseBatch(records, fresh[-1].id if fresh else position)
