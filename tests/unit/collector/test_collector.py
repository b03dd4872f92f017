"""When samples are taken, and what becomes of them while the log cannot be reached."""

import threading
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

import msgspec
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from services.collector.collector import Collector
from services.collector.host import Host
from shared.runtime.documents import MonitoringSection, Threshold, Thresholds
from shared.runtime.log import LogFullError, RecordLog
from shared.schema.records import Health

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SECTION = MonitoringSection(interval_seconds=10, thresholds=Thresholds(cpu=Threshold(warning=70)))


class BusyHost:
    """A host whose processors are always at 80 %."""

    def sample(self, now: datetime, _checks: Collection[str]) -> Health:
        """Return a sample of `now`."""
        return Health(timestamp=now, host="h", cpu_usage=80)


class LogDouble:
    """A log that keeps what it gets, or fails as told."""

    def __init__(self) -> None:
        self.appended: list[Health] = []
        self.fails_with: Exception | None = None

    def append(self, records: Sequence[Health], door: str) -> str:
        """Keep `records`, or raise `fails_with`."""
        assert door == "collector"
        if self.fails_with:
            raise self.fails_with
        self.appended += records
        return "1-0"


class Scene:
    """A collector with a clock that stands still until a test moves it."""

    def __init__(self, interval: float = 10) -> None:
        self.seconds = 0.0
        self.log = LogDouble()
        self.collector = Collector(
            cast("Host", BusyHost()),
            msgspec.structs.replace(SECTION, interval_seconds=interval),
            now=lambda: NOON + timedelta(seconds=self.seconds),
            monotonic=lambda: self.seconds,
        )
        self._stopping = threading.Event()
        self._stopping.set()  # so that waiting takes no time

    def step(self) -> None:
        """Let the collector take a step now."""
        self.collector.step(cast("RecordLog", self.log), self._stopping)

    @property
    def times(self) -> list[float]:
        """When the samples in the log were taken."""
        return [(health.at - NOON).total_seconds() for health in self.log.appended]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_the_first_sample_comes_at_once_and_the_next_after_the_interval(scene: Scene) -> None:
    for scene.seconds in (0.0, 5.0, 9.9, 10.0, 10.1, 20.0):
        scene.step()
    assert scene.times == [0.0, 10.0, 20.0]


def test_a_long_interval_does_not_keep_the_first_rates_waiting() -> None:
    scene = Scene(interval=60)
    for scene.seconds in (0.0, 9.9, 10.0, 60.0, 69.9, 70.0):
        scene.step()
    assert scene.times == [0.0, 10.0, 70.0]


def test_a_sample_carries_its_judgement(scene: Scene) -> None:
    scene.step()
    assert scene.log.appended[0].system_health == "WARNING"
    assert scene.log.appended[0].reasons == ["CPU is at 80.0 %, a warning from 70 % on"]


def test_while_redis_is_away_only_the_newest_sample_waits_for_it(scene: Scene) -> None:
    scene.log.fails_with = RedisConnectionError("refused")
    for scene.seconds in (0.0, 0.5, 10.0, 20.0, 20.5):
        with pytest.raises(RedisConnectionError):
            scene.step()
    scene.log.fails_with = None
    with capture_logs() as lines:
        scene.step()
        scene.seconds = 30.0
        scene.step()
    assert scene.times == [20.0, 30.0]
    assert [line["samples"] for line in lines] == [2]


def test_a_full_log_drops_samples_and_says_so_once(scene: Scene) -> None:
    scene.log.fails_with = LogFullError("full")
    with capture_logs() as lines:
        for scene.seconds in (0.0, 10.0, 20.0):
            scene.step()
    assert len(lines) == 1
    scene.log.fails_with = None
    scene.seconds = 30.0
    scene.step()
    assert scene.times == [30.0]


def test_after_a_long_standstill_missed_samples_are_not_made_up_for(scene: Scene) -> None:
    scene.step()
    for scene.seconds in (1000.0, 1000.0, 1000.1, 1000.2):
        scene.step()
    assert scene.times == [0.0, 1000.0, 1000.0]


def test_health_fails_when_samples_stop_reaching_the_log(scene: Scene) -> None:
    assert scene.collector.check() == "no sample yet"
    scene.step()
    scene.seconds = 30.0
    assert scene.collector.check() == "sampled 30.0 s ago"
    scene.seconds = 30.1
    with pytest.raises(TimeoutError, match="30 s ago"):
        scene.collector.check()
