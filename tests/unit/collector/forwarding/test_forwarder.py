"""What becomes of records while nobody takes them, and when somebody does again."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis
from structlog.testing import capture_logs

from services.collector.forwarding.forwarder import (
    BACKLOG_INTERVAL_S,
    MAX_RETRY_AFTER_S,
    MAX_RETRY_S,
    Forwarder,
    RedisSink,
    SinkUnavailableError,
)
from services.collector.forwarding.spool import SEGMENT_RECORDS, Spool
from shared.runtime.redis import record_log as log_module
from shared.runtime.redis.connection import connect_redis
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import AnyRecord, Health
from tests.support import free_port

NOON = datetime.now(UTC).replace(microsecond=0)


def sample(number: float) -> Health:
    return Health(timestamp=NOON + timedelta(seconds=number), host="box")


class Receiver:
    """Takes records, or is away as told."""

    def __init__(self) -> None:
        self.away: SinkUnavailableError | None = None
        self.attempts = 0
        self.batches: list[list[float]] = []

    def write(self, records: Sequence[AnyRecord]) -> int:
        """Take `records`, or raise `away`."""
        self.attempts += 1
        if self.away:
            raise self.away
        self.batches.append([(record.at - NOON).total_seconds() for record in records])
        return 0

    @property
    def numbers(self) -> list[float]:
        """The samples that came, in their order."""
        return [number for batch in self.batches for number in batch]


class Scene:
    """Sending with a clock that stands still until a test moves it."""

    def __init__(self, folder: Path) -> None:
        self.seconds = 0.0
        self.receiver = Receiver()
        self.spool = Spool(folder)
        self.sending = Forwarder(self.receiver, self.spool, monotonic=lambda: self.seconds)

    def send(self, *numbers: float) -> None:
        """Hand samples over."""
        self.sending.send([sample(number) for number in numbers])


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "spool")


def test_records_are_sent_at_once_and_leave_nothing_on_disk(scene: Scene, tmp_path: Path) -> None:
    scene.send(1, 2)
    scene.send(3)
    assert scene.receiver.batches == [[1, 2], [3]]
    assert not (tmp_path / "spool").exists()
    assert scene.sending.taken_at == 0.0


def test_spooled_records_are_sent_before_new_ones(scene: Scene) -> None:
    scene.receiver.away = SinkUnavailableError("refused")
    for number in range(3):
        scene.send(number)
    assert scene.sending.taken_at is None
    scene.receiver.away = None
    scene.seconds = 100.0
    scene.send(3)
    assert scene.receiver.numbers == [0, 1, 2, 3]
    scene.seconds = 101.0
    scene.send(4)
    assert scene.receiver.numbers == [0, 1, 2, 3, 4]
    assert len(scene.spool) == 0


def test_who_comes_back_gets_one_batch_at_a_time(scene: Scene) -> None:
    scene.receiver.away = SinkUnavailableError("refused")
    scene.send(*range(3 * SEGMENT_RECORDS))
    scene.receiver.away = None
    scene.seconds = 100.0
    scene.send()
    scene.send()
    assert [len(batch) for batch in scene.receiver.batches] == [SEGMENT_RECORDS]
    assert scene.sending.seconds_until_due() == pytest.approx(BACKLOG_INTERVAL_S)
    for _ in range(2):
        scene.seconds += BACKLOG_INTERVAL_S
        scene.send()
    assert [len(batch) for batch in scene.receiver.batches] == [SEGMENT_RECORDS] * 3
    assert scene.receiver.numbers == [*range(3 * SEGMENT_RECORDS)]
    assert scene.sending.seconds_until_due() == float("inf")


def test_while_records_wait_new_ones_wait_behind_them(scene: Scene) -> None:
    scene.receiver.away = SinkUnavailableError("refused")
    scene.send(*range(SEGMENT_RECORDS + 1))
    scene.receiver.away = None
    scene.seconds = 100.0
    scene.send(SEGMENT_RECORDS + 1)
    scene.send(SEGMENT_RECORDS + 2)
    assert len(scene.receiver.numbers) == SEGMENT_RECORDS
    scene.seconds = 101.0
    scene.send()
    assert scene.receiver.numbers == [*range(SEGMENT_RECORDS + 3)]


def test_who_is_away_is_asked_ever_less_often(scene: Scene) -> None:
    scene.receiver.away = SinkUnavailableError("refused")
    times = []
    for tenth in range(1200):
        scene.seconds = tenth / 10
        before = scene.receiver.attempts
        scene.send(scene.seconds)
        if scene.receiver.attempts > before:
            times.append(scene.seconds)
    assert times == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 61.0, 91.0]
    assert MAX_RETRY_S == 30.0


def test_who_asks_for_time_gets_it_within_reason(scene: Scene) -> None:
    scene.receiver.away = SinkUnavailableError("503", wait_s=60)
    scene.send(1)
    assert scene.sending.seconds_until_due() == 60.0
    scene.seconds = 60.0
    scene.receiver.away = SinkUnavailableError("503", wait_s=1e9)
    scene.send()
    assert scene.sending.seconds_until_due() == MAX_RETRY_AFTER_S


def test_the_log_says_once_why_records_wait_and_once_that_they_do_not(scene: Scene) -> None:
    with capture_logs() as lines:
        scene.receiver.away = SinkUnavailableError("refused")
        for scene.seconds in (0.0, 10.0, 20.0):
            scene.send(scene.seconds)
        scene.receiver.away = SinkUnavailableError("wrong token")
        scene.seconds = 60.0
        scene.send(60)
        scene.receiver.away = None
        scene.seconds = 120.0
        scene.send(120)
        scene.send(121)
    assert [line.get("reason") for line in lines] == ["refused", "wrong token", None, None]


def test_the_next_process_sends_what_an_earlier_one_left(scene: Scene, tmp_path: Path) -> None:
    scene.receiver.away = SinkUnavailableError("refused")
    scene.send(1, 2)
    following = Scene(tmp_path / "spool")
    following.send(3)
    assert following.receiver.numbers == [1, 2]
    following.seconds = BACKLOG_INTERVAL_S
    following.send()
    assert following.receiver.numbers == [1, 2, 3]


def test_records_reach_the_log_as_one_entry(redis: Redis) -> None:
    record_log = RecordLog(redis)
    assert RedisSink(record_log).write([sample(1), sample(2)]) == 0
    assert redis.xlen(record_log.stream) == 1


def test_redis_that_is_away_and_a_full_log_are_reasons_to_wait(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = connect_redis(f"redis://127.0.0.1:{free_port()}/0", retries=0)
    with pytest.raises(SinkUnavailableError, match="refused"):
        RedisSink(RecordLog(nowhere)).write([sample(1)])
    monkeypatch.setattr(log_module, "MAX_ENTRIES", 0)
    with pytest.raises(SinkUnavailableError, match="entries not read by every group"):
        RedisSink(RecordLog(redis)).write([sample(1)])
