"""When samples are taken, what goes with them, and when health says that they do not arrive."""

import threading
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import msgspec
import pytest

from services.collector.checks.base import CheckResult
from services.collector.checks.scheduler import CheckScheduler, ScheduledCheck
from services.collector.collector import Collector
from services.collector.forwarding.forwarder import Forwarder, SinkUnavailableError
from services.collector.forwarding.spool import Spool
from services.collector.host.sampler import HostSampler
from shared.runtime.config.documents import MonitoringSection
from shared.schema.records import AnyRecord, Check, CheckType, Health
from shared.schema.thresholds import Threshold, Thresholds
from tests.support import wait_until

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SECTION = MonitoringSection(interval_seconds=10, thresholds=Thresholds(cpu=Threshold(warning=70)))


class BusyHost:
    """A host whose processors are always at 80%."""

    def sample(self, now: datetime, _checks: Collection[str]) -> Health:
        """Return a sample of `now`."""
        return Health(timestamp=now, host="h", cpu_usage=80)


class Connected:
    """An exchange that takes so long to connect to, or is down."""

    type: CheckType = "exchange"

    def __init__(self, connect_ms: float | None) -> None:
        self._connect_ms = connect_ms

    def run(self, _now: datetime) -> CheckResult:
        """Return the look."""
        if self._connect_ms is None:
            return CheckResult("critical", "refused", "refused")
        return CheckResult("ok", "answered", None, {"connect_ms": self._connect_ms})


class FakeSink:
    """Keeps what it gets, or is away."""

    def __init__(self) -> None:
        self.taken: list[AnyRecord] = []
        self.away = False

    def write(self, records: Sequence[AnyRecord]) -> int:
        """Keep `records`."""
        if self.away:
            raise SinkUnavailableError("refused")
        self.taken += records
        return 0


class CollectorScenario:
    """A collector with a clock that stands still until a test moves it."""

    def __init__(self, folder: Path, *watched: ScheduledCheck, interval: float = 10) -> None:
        self.seconds = 0.0
        self.receiver = FakeSink()

        def now() -> datetime:
            return NOON + timedelta(seconds=self.seconds)

        def monotonic() -> float:
            return self.seconds

        self.collector = Collector(
            cast("HostSampler", BusyHost()),
            msgspec.structs.replace(SECTION, interval_seconds=interval),
            CheckScheduler("h", watched, now=now, monotonic=monotonic, chance=lambda: 0.0),
            Forwarder(self.receiver, Spool(folder / "spool", now=now), monotonic=monotonic),
            now=now,
            monotonic=monotonic,
        )
        self._stopping = threading.Event()
        self._stopping.set()  # so that waiting takes no time

    def step(self) -> None:
        """Let the collector take a step now."""
        self.collector.step(self._stopping)

    @property
    def samples(self) -> list[Health]:
        """The samples that were taken."""
        return [record for record in self.receiver.taken if isinstance(record, Health)]

    @property
    def times(self) -> list[float]:
        """When they were made."""
        return [(health.at - NOON).total_seconds() for health in self.samples]


@pytest.fixture
def scene(tmp_path: Path) -> CollectorScenario:
    return CollectorScenario(tmp_path)


def test_the_first_sample_comes_at_once_and_the_next_after_the_interval(scene: CollectorScenario) -> None:
    for scene.seconds in (0.0, 5.0, 9.9, 10.0, 10.1, 20.0):
        scene.step()
    assert scene.times == [0.0, 10.0, 20.0]


def test_a_long_interval_does_not_keep_the_first_rates_waiting(tmp_path: Path) -> None:
    scene = CollectorScenario(tmp_path, interval=60)
    for scene.seconds in (0.0, 9.9, 10.0, 60.0, 69.9, 70.0):
        scene.step()
    assert scene.times == [0.0, 10.0, 70.0]


def test_a_sample_carries_its_judgement_and_an_id(scene: CollectorScenario) -> None:
    scene.step()
    assert scene.samples[0].system_health == "WARNING"
    assert scene.samples[0].reasons == ["CPU at 80.0% (warning ≥ 70%)"]
    assert scene.samples[0].id == "1769860800000"


def test_while_nobody_takes_them_samples_wait_and_come_in_order(scene: CollectorScenario) -> None:
    scene.receiver.away = True
    for scene.seconds in (0.0, 0.5, 10.0, 20.0, 20.5):
        scene.step()
    scene.receiver.away = False
    for scene.seconds in (30.0, 40.0):
        scene.step()
    assert scene.times == [0.0, 10.0, 20.0, 30.0, 40.0]


def test_after_a_long_standstill_missed_samples_are_not_made_up_for(scene: CollectorScenario) -> None:
    scene.step()
    for scene.seconds in (1000.0, 1000.0, 1000.1, 1000.2):
        scene.step()
    assert scene.times == [0.0, 1000.0, 1000.0]


def test_health_fails_when_samples_stop_reaching_the_log(scene: CollectorScenario) -> None:
    assert scene.collector.check() == "no sample yet"
    scene.step()
    scene.seconds = 30.0
    assert scene.collector.check() == "sampled 30.0 s ago"
    scene.seconds = 30.1
    with pytest.raises(TimeoutError, match="30 s"):
        scene.collector.check()


def test_health_fails_too_when_no_sample_ever_reached_the_log(scene: CollectorScenario) -> None:
    scene.receiver.away = True
    for scene.seconds in (0.0, 10.0, 20.0, 30.1):
        scene.step()
    with pytest.raises(TimeoutError, match="30 s"):
        scene.collector.check()


def test_checks_are_sent_and_a_failing_one_is_a_reason_of_the_next_sample(tmp_path: Path) -> None:
    scene = CollectorScenario(tmp_path, ScheduledCheck("binance", Connected(None), every_s=60, timeout_s=5))

    def came() -> bool:
        scene.step()
        return any(isinstance(record, Check) for record in scene.receiver.taken)

    wait_until(came, "a record of the check")
    scene.seconds = 10.0
    scene.step()
    assert scene.samples[-1].system_health == "CRITICAL"
    assert any("binance" in reason for reason in scene.samples[-1].reasons)


def test_network_latency_is_the_median_of_the_exchanges_that_answer(tmp_path: Path) -> None:
    latencies = {"a": 10.0, "b": 40.0, "c": 20.0, "down": None}
    scene = CollectorScenario(
        tmp_path, *(ScheduledCheck(name, Connected(ms), 60, 5) for name, ms in latencies.items())
    )

    def came() -> bool:
        scene.step()
        return sum(isinstance(record, Check) for record in scene.receiver.taken) == len(latencies)

    wait_until(came, "all records of the checks")
    assert scene.samples[0].network_latency is None
    scene.seconds = 10.0
    scene.step()
    assert scene.samples[-1].network_latency == 20.0
