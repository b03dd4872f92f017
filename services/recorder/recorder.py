"""Batches of the log into SQLite: one transaction per database and batch, acknowledged after the commit.

The figures that follow from a batch go back into the log as records like any other.
"""

import threading
import time
from collections.abc import Callable
from datetime import datetime

import structlog
from prometheus_client import Counter, Histogram
from sqlalchemy import Connection, Table
from sqlalchemy.exc import OperationalError

from services.recorder.analyst import Analyst
from services.recorder.batch import Batch, split
from services.recorder.contradictions import Contradictions
from services.recorder.upkeep import Upkeep
from shared.runtime.log import LogFullError, RecordLog, TooManyBotsError
from shared.runtime.reader import Entry, GroupReader
from shared.runtime.redis import BLOCK_MS
from shared.runtime.trim import FORGOTTEN_AFTER, trim
from shared.schema import streams
from shared.schema.positions import after, believable, parts_of
from shared.schema.records import AnyRecord
from shared.store.database import Database
from shared.store.forgetting import forget_bot
from shared.store.patience import PatientWriter
from shared.store.positions import EVALUATOR_TRACKS, read_position, write_position
from shared.store.records import insert_records
from shared.store.tables import health_position, performance_position

log = structlog.get_logger()

READ = 500
"""Entries asked for at once."""
BATCH_RECORDS = 5_000
BATCH_MS = 100
"""A batch is written when it has that many records, or after that long."""
CATCH_UP_S = 0.05
"""New records wait no longer than that, and the piece under way, for old ones."""
DOOR = "recorder"
TRIM_INTERVAL_S = 5.0
FORGET_INTERVAL_S = 3600.0

ROWS = Counter("botwatch_recorder_rows", "Rows written.", ["database"])
REPEATED = Counter(
    "botwatch_recorder_repeated", "Records left out: their id was already there.", ["database"]
)
CONTRADICTORY = Counter(
    "botwatch_recorder_contradictory",
    "Records sent with the id of another record, but with other content.",
    ["kind"],
)
COMMIT = Histogram("botwatch_recorder_commit_seconds", "Time to write a batch.", ["database"])


class Target:
    """One database and how far it is; with an analyst it also keeps what the analyst makes of the rows."""

    def __init__(
        self,
        name: str,
        database: Database,
        table: Table,
        record_log: RecordLog,
        analyst: Analyst | None = None,
    ) -> None:
        self._analyst = analyst
        self._name = name
        self._database = database
        self._table = table
        self._partition = record_log.partition
        self.find_position(max(record_log.newest(), record_log.now(), key=parts_of))

    def find_position(self, newest: str) -> None:
        """Take the position from the database, unless it is of another life of the log: after `newest`."""
        known = self.stored_position(streams.RECORDER_GROUP)
        self._stored = self.position = believable(known, newest)
        if self.position != known:
            log.warning("the log began anew: its entries are older than the database's", database=self._name)

    def stored_position(self, reader: str) -> str:
        """Return how far a reader's work is in this database."""
        with self._database.read() as connection:
            return read_position(connection, self._table, reader, self._partition)

    def make_durable(self) -> str:
        """Bring all that is committed onto the disk, and the position though no rows came; return that."""
        position = self.position
        if position != self._stored:
            with self._database.write() as connection:
                self._write_position(connection, position)
            self._stored = position
        self._database.checkpoint()
        return position

    def _write_position(self, connection: Connection, position: str) -> None:
        write_position(connection, self._table, streams.RECORDER_GROUP, self._partition, position)

    def write(self, batch: Batch) -> list[AnyRecord]:
        """Write the rows, what follows from them, and the position in one transaction.

        Return the records that contradict others of the same identity.
        """
        contradictory: list[AnyRecord] = []
        if batch.records:
            with COMMIT.labels(self._name).time(), self._database.write() as connection:
                new, contradictory = insert_records(connection, batch.records)
                change = self._analyst.prepare(connection, new) if self._analyst else None
                self._write_position(connection, batch.position)
            self._stored = batch.position
            if self._analyst and change:
                self._analyst.commit(change)
            ROWS.labels(self._name).inc(len(new))
            REPEATED.labels(self._name).inc(len(batch.records) - len(new))
        self.position = batch.position
        return contradictory

    def forget(self, bot: str, entry: str, beat: Callable[[], object]) -> None:
        """Remove all of a bot, as log entry `entry` asks; `beat` is called after each piece of it.

        The position is written last: killed before, it begins again, and no later row of the bot is there.
        """
        if not after(entry, self.position):
            return
        for _ in forget_bot(self._database, bot):
            beat()
        with self._database.write() as connection:
            self._write_position(connection, entry)
        self._stored = self.position = entry
        if self._analyst:
            self._analyst.forget(bot)
        log.info("a bot was forgotten", bot=bot)

    def write_analysis(self) -> None:
        """Write what the analyst has, though no rows came."""
        if self._analyst:
            with self._database.write() as connection:
                change = self._analyst.prepare(connection)
            self._analyst.commit(change)


class Recorder:
    """Reads the log as the group `recorder`."""

    def __init__(
        self,
        record_log: RecordLog,
        performance: Database,
        health: Database,
        analyst: Analyst,
        upkeep: Upkeep,
        stopping: threading.Event,
        now: Callable[[], datetime],
    ) -> None:
        self._log = record_log
        self._reader = GroupReader(record_log, streams.RECORDER_GROUP, batch=READ)
        self._analyst = analyst
        self._upkeep = upkeep
        self._performance = Target("performance", performance, performance_position, record_log, analyst)
        self._health = Target("health", health, health_position, record_log)
        self._reader.go_back(min(self._performance.position, self._health.position, key=parts_of))
        self._databases = (performance, health)
        self._stopping = stopping
        self._now = now
        self._trimmed = self._forgot = time.monotonic()
        self.writer = PatientWriter(stopping)
        self._contradictions = Contradictions()

    def step(self) -> None:
        """Write the next batch, waiting a moment for it, tell its figures, and do what else is due."""
        entries = self._gather()
        if self._reader.was_lost():
            newest = self._log.newest()
            self._performance.find_position(newest)
            self._health.find_position(newest)
            self.know_bots()
        if entries:
            if not self.writer.until_done(lambda: self._write(entries)):
                return
            self._reader.acknowledge(entries)
        self._analyse()
        self._upkeep.step()
        if time.monotonic() - self._trimmed >= TRIM_INTERVAL_S:
            self._trim()
            self._trimmed = time.monotonic()
        if time.monotonic() - self._forgot >= FORGET_INTERVAL_S:
            self._log.forget_latest(self._now() - FORGOTTEN_AFTER)
            self._forgot = time.monotonic()

    def know_bots(self) -> None:
        """Let the bots that reported lately count against the limit, though Redis lost them."""
        now = self._now()
        self._log.reindex_latest([(("bot", bot), now) for bot in self._analyst.bots])

    def _trim(self) -> None:
        """Let go of what no power cut can take back: both databases have it on the disk.

        The checkpoints also keep small what a plain copy of a database's file lacks.
        """
        judged = self._health.stored_position(EVALUATOR_TRACKS)
        try:
            recorded = min(self._performance.make_durable(), self._health.make_durable(), key=parts_of)
        except (OperationalError, OSError) as error:
            log.warning(
                "the log is not trimmed: a database cannot be brought onto the disk", error=str(error)
            )
            return
        trim(self._log, self._now(), min(recorded, judged, key=parts_of))

    def check(self) -> str:
        """Raise what keeps the recorder from writing."""
        for database in self._databases:
            database.require_whole()
        self.writer.check()
        return f"at {self._performance.position}"

    def _gather(self) -> list[Entry]:
        """Read until the batch is full or its time is up; what is there after that waits for the next."""
        entries = self._reader.read(self._analyst.wait_ms(BLOCK_MS))
        deadline = time.monotonic() + BATCH_MS / 1000
        while entries and sum(len(entry.records) for entry in entries) < BATCH_RECORDS:
            left_ms = int((deadline - time.monotonic()) * 1000)
            if left_ms <= 0 or self._stopping.is_set():
                break
            entries += self._reader.read(left_ms)
        return entries

    def _analyse(self) -> None:
        """Catch up, write what is due, and put computed figures into the log as records like any other."""
        until = time.monotonic() + CATCH_UP_S
        while self._analyst.is_behind and time.monotonic() < until:
            self._analyst.catch_up()
        if self._analyst.is_write_due():
            self.writer.until_done(self._performance.write_analysis)
        computed = self._analyst.due()
        warnings = self._contradictions.due(time.monotonic(), self._now())
        if computed or warnings:
            try:
                self._log.append([*warnings, *computed.values()], DOOR)
            except LogFullError as error:
                log.error("cannot tell computed figures; trying again", reason=str(error))
            except TooManyBotsError as error:
                # They were forgotten a moment ago: the next entries say so.
                self._analyst.told(bot for _, bot in error.refused)
            else:
                self._analyst.told(computed)

    def _write(self, entries: list[Entry]) -> None:
        """Write entries in their order: what came before a bot was forgotten goes, what came later stays."""
        begin = 0
        for place, entry in enumerate(entries):
            if entry.forget is not None:
                self._insert(entries[begin:place])
                self._performance.forget(entry.forget, entry.id, self.writer.beat)
                begin = place + 1
        self._insert(entries[begin:])

    def _insert(self, entries: list[Entry]) -> None:
        performance, health = split(entries, self._performance.position, self._health.position)
        for record in (*self._performance.write(performance), *self._health.write(health)):
            CONTRADICTORY.labels(record.kind).inc()
            self._contradictions.add(record)
