"""When checks are looked at, and that none waits for another."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from services.collector.checks.base import CheckResult
from services.collector.checks.scheduler import (
    MAX_CONCURRENT,
    MAX_INITIAL_DELAY_S,
    CheckScheduler,
    ScheduledCheck,
)
from shared.schema.records import Check, CheckType
from tests.support import wait_until

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SECRET = "hunter2"
OK = CheckResult("ok", "answered", figures={"check_latency_ms": 1.0})


class Said:
    """A probe that says what it is told to, at once."""

    type: CheckType = "http"

    def __init__(self, look: CheckResult = OK) -> None:
        self.look_ = look
        self.times: list[datetime] = []

    def run(self, now: datetime) -> CheckResult:
        """Return the look."""
        self.times.append(now)
        return self.look_


class Hanging:
    """A probe that hangs until it is let go; it tells when two look at once."""

    type: CheckType = "tcp"

    def __init__(self) -> None:
        self.begun = 0
        self.at_once = 0
        self.most_at_once = 0
        self.let_go = threading.Event()

    def run(self, _now: datetime) -> CheckResult:
        """Hang."""
        self.begun += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        assert self.let_go.wait(30)
        self.at_once -= 1
        return OK


class Raising:
    """A probe with a fault of its own."""

    type: CheckType = "database"

    def run(self, _now: datetime) -> CheckResult:
        """Raise."""
        raise LookupError(f"postgresql://trader:{SECRET}@db")


class Scene:
    """Rounds with a clock that stands still until a test moves it."""

    def __init__(self, *watched: ScheduledCheck, chance: Callable[[], float] = lambda: 0.5) -> None:
        self.seconds = 0.0
        self.records: list[Check] = []
        self.rounds = CheckScheduler(
            "box",
            watched,
            now=lambda: NOON + timedelta(seconds=self.seconds),
            monotonic=lambda: self.seconds,
            chance=chance,
        )

    def step(self, at: float | None = None) -> list[Check]:
        """Take one step."""
        self.seconds = self.seconds if at is None else at
        new = self.rounds.step()
        self.records += new
        return new

    def settled(self, count: int) -> list[Check]:
        """Take steps, with the clock standing still, until there are `count` records in all."""
        wait_until(lambda: self.step() is not None and len(self.records) >= count, f"{count} records")
        return self.records

    def of(self, name: str) -> list[Check]:
        """Return the records of one check."""
        return [record for record in self.records if record.check == name]


def watch(
    name: str, probe: Said | Hanging | Raising, every_s: float = 10, timeout_s: float = 5
) -> ScheduledCheck:
    return ScheduledCheck(name, probe, every_s, timeout_s)


def test_a_result_becomes_a_record_with_figures_and_statistics() -> None:
    scene = Scene(watch("web", Said()), chance=lambda: 0.0)
    record = scene.settled(1)[0]
    assert (record.host, record.check, record.type, record.status) == ("box", "web", "http", "ok")
    assert (record.check_latency_ms, record.latency_p99_ms, record.availability) == (1.0, 1.0, 100.0)
    assert record.at == NOON
    assert scene.rounds.latest == {"web": record}


def test_first_looks_are_spread_over_the_interval() -> None:
    chances = iter([0.0, 0.9, 0.5, 0.5])
    first, second = Said(), Said()
    scene = Scene(watch("a", first), watch("b", second), chance=lambda: next(chances))
    scene.settled(1)
    assert (len(first.times), len(second.times)) == (1, 0)
    scene.step(8.9)
    assert second.times == []
    scene.seconds = 9.0
    scene.settled(2)
    assert len(second.times) == 1


def test_the_first_look_of_a_rare_check_does_not_wait_for_its_interval() -> None:
    scene = Scene(watch("certificate", Said(), every_s=86_400), chance=lambda: 1.0)
    scene.seconds = MAX_INITIAL_DELAY_S
    scene.settled(1)


@pytest.mark.parametrize(("chance", "second"), [(0.0, 9.0), (0.5, 10.0), (1.0, 11.0)])
def test_later_looks_come_a_tenth_earlier_or_later(chance: float, second: float) -> None:
    chances = iter([0.0, chance, chance])
    probe = Said()
    scene = Scene(watch("web", probe), chance=lambda: next(chances))
    scene.settled(1)
    scene.step(second - 0.1)
    assert len(probe.times) == 1
    scene.seconds = second
    scene.settled(2)


def test_a_hanging_check_delays_no_other() -> None:
    hanging, prompt = Hanging(), Said()
    scene = Scene(watch("hanging", hanging), watch("web", prompt), chance=lambda: 0.0)
    scene.settled(1)
    scene.seconds = 9.0
    scene.settled(3)
    assert len(scene.of("web")) == 2
    hanging.let_go.set()


def test_a_hanging_check_is_a_timeout_once_in_each_interval() -> None:
    hanging = Hanging()
    scene = Scene(watch("hanging", hanging, every_s=10, timeout_s=5), chance=lambda: 0.5)
    for tenth in range(50, 351):
        scene.step(tenth / 10)
    # Begun after 5 s, given up after 10, told again when the next looks were due.
    assert [(record.at - NOON).total_seconds() for record in scene.records] == [10.0, 15.0, 25.0, 35.0]
    assert {(record.status, record.reason) for record in scene.records} == {("critical", "timeout")}
    assert scene.records[0].text == "No result after 5 s (timeout 5s)"
    assert scene.records[3].text == "No result after 30 s (timeout 5s)"
    assert (hanging.begun, hanging.most_at_once) == (1, 1)
    hanging.let_go.set()


def test_next_run_waits_for_one_that_is_still_running() -> None:
    hanging = Hanging()
    scene = Scene(watch("slow", hanging, every_s=10, timeout_s=10), chance=lambda: 0.0)
    scene.step(0.0)
    scene.step(9.5)
    assert [thread.name for thread in threading.enumerate()].count("check slow") == 1
    hanging.let_go.set()
    assert [record.status for record in scene.settled(2)] == ["ok", "ok"]


def test_a_late_answer_is_dropped_and_the_next_look_counts_again() -> None:
    hanging = Hanging()
    scene = Scene(watch("hanging", hanging), chance=lambda: 0.5)
    scene.step(5.0)
    assert len(scene.step(10.0)) == 1
    hanging.let_go.set()
    wait_until(lambda: scene.step() == [] and hanging.at_once == 0, "the late answer is there")
    scene.step(10.1)
    assert len(scene.records) == 1
    scene.seconds = 15.0
    assert [record.status for record in scene.settled(2)] == ["critical", "ok"]
    assert hanging.most_at_once == 1


def test_never_more_than_sixteen_look_at_once_and_the_rest_follows() -> None:
    hanging = [Hanging() for _ in range(MAX_CONCURRENT)]
    late = Said()
    scene = Scene(
        *(watch(f"hanging {i}", one) for i, one in enumerate(hanging)), watch("z", late), chance=lambda: 0.0
    )
    scene.step(0.0)
    wait_until(lambda: all(one.begun for one in hanging), "all places are taken")
    scene.step(4.9)
    assert late.times == []
    assert scene.rounds.seconds_until_due() > 0
    # What was given up takes no place away.
    scene.seconds = 5.0
    scene.settled(MAX_CONCURRENT + 1)
    assert len(scene.of("z")) == 1
    for one in hanging:
        one.let_go.set()


def test_a_probe_that_raises_is_unknown_and_logged_once() -> None:
    scene = Scene(watch("db", Raising()), chance=lambda: 0.0)
    with capture_logs() as lines:
        scene.settled(1)
        scene.seconds = 20.0
        records = scene.settled(2)
    assert {(record.status, record.reason) for record in records} == {("unknown", "other")}
    assert records[0].text == "Check failed with an internal error (LookupError); see the collector log"
    assert len(lines) == 1
    assert "test_scheduler.py" in lines[0]["trace"]
    assert SECRET not in f"{lines} {records}"


@pytest.mark.parametrize("figures", [{"no_such": 1.0}, {"dns_ms": -1.0}, {"check": "other"}])
def test_a_look_that_no_record_can_hold_is_unknown(figures: dict[str, float]) -> None:
    scene = Scene(watch("web", Said(OK._replace(figures=figures))), chance=lambda: 0.0)
    with capture_logs() as lines:
        assert scene.settled(1)[0].status == "unknown"
    assert len(lines) == 1


def test_what_strangers_may_say_in_a_text_does_no_harm() -> None:
    text = "failed login of root\n\x1b[2J\udcff" + "x" * 9000
    record = Scene(watch("web", Said(OK._replace(text=text))), chance=lambda: 0.0).settled(1)[0]
    assert record.text.startswith("failed login of root  [2J xxx")
    assert len(record.text) == 4096


def test_a_failure_counts_after_as_many_as_the_check_asks_for() -> None:
    probe = Said(CheckResult("critical", "refused", "refused"))
    scene = Scene(watch("web", probe)._replace(failures=2), chance=lambda: 0.0)
    for count in (1, 2):
        scene.settled(count)
        scene.seconds += 10
    assert [(r.status, r.text) for r in scene.records] == [
        ("unknown", "1 of 2: refused"),
        ("critical", "refused"),
    ]


def test_after_a_standstill_each_check_is_looked_at_once() -> None:
    probe = Said()
    scene = Scene(watch("web", probe), chance=lambda: 0.5)
    scene.seconds = 5.0
    scene.settled(1)
    scene.seconds = 10_000.0
    scene.settled(2)
    for later in range(1, 10):
        scene.step(10_000.0 + later)
    assert len(probe.times) == 2
    scene.seconds = 10_010.0
    scene.settled(3)


def test_the_records_of_one_check_have_ids_of_their_own() -> None:
    scene = Scene(watch("a", Said()), watch("b", Said()), chance=lambda: 0.0)
    scene.settled(2)
    scene.seconds = 10.0
    assert len({record.id for record in scene.settled(4)}) == 4


def test_without_checks_nothing_is_waited_for() -> None:
    scene = Scene()
    assert scene.step() == []
    assert scene.rounds.seconds_until_due() == float("inf")
