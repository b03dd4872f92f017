"""What the watch makes of what it sees, moment by moment."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from services.notifier.self_alerts import SelfAlert, build_alert
from services.notifier.watchdog.diagnosis import (
    DELIVERY_LIMIT,
    RECORDS_REFUSED,
    RESPONSE_LIMIT,
    STARTUP_LIMIT,
    VALUES_EVICTED,
    Diagnosis,
    SystemSnapshot,
)
from shared.runtime.redis.presence import EXPECTED_PARTS
from shared.schema.alerts import Details
from shared.schema.jobs import ATTEMPTS, OVERDUE_AFTER, JobRun

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
PARTS = frozenset(("evaluator", "notifier"))
Found = dict[int, list[str]]


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def fine(second: int) -> SystemSnapshot:
    """Everything gives a new sign."""
    return SystemSnapshot(dict.fromkeys(PARTS, at(second)), is_usable=True, last_beat_at=at(second // 5 * 5))


def watched(
    see: Callable[[int], SystemSnapshot | None], until: int, watch: Diagnosis | None = None, begin: int = 0
) -> Found:
    """Look once a second, not where there is None to be seen; return the changes of what is wrong."""
    watch = watch or Diagnosis(PARTS, at(begin))
    changes: Found = {}
    before: list[str] = []
    for second in range(begin + 1, until + 1):
        if (seen := see(second)) is None:
            continue
        now = sorted(one.fingerprint for one in watch.evaluate(seen, at(second)))
        if now != before:
            changes[second] = now
        before = now
    return changes


def without(part: str, second: int, since: int, until: int = 10**6) -> SystemSnapshot:
    signs = dict(fine(second).heartbeats or {})
    if since <= second < until:
        signs[part] = at(since - 1)
    return fine(second)._replace(heartbeats=signs)


def first(changes: Found) -> tuple[int, list[str]]:
    return next(iter(changes.items()))


def test_nothing_is_wrong_while_everything_gives_signs() -> None:
    assert watched(fine, 300) == {}


def test_part_is_down_without_presence_and_up_with_the_next() -> None:
    changes = watched(lambda second: without("evaluator", second, 100, 140), 200)
    assert changes == {112: ["botwatch/botwatch-part-down/part=evaluator"], 140: []}


def test_a_part_that_took_its_sign_down_is_down_as_well() -> None:
    def see(second: int) -> SystemSnapshot:
        signs = {name: sign for name, sign in (fine(second).heartbeats or {}).items() if name != "notifier"}
        return fine(second) if second < 100 else fine(second)._replace(heartbeats=signs)

    assert first(watched(see, 200)) == (112, ["botwatch/botwatch-part-down/part=notifier"])


def test_a_restart_within_the_patience_raises_nothing() -> None:
    assert watched(lambda second: without("evaluator", second, 100, 110), 200) == {}


def test_stale_presence_of_an_earlier_run_opens_no_alert() -> None:
    def see(second: int) -> SystemSnapshot:
        return (
            fine(second) if second > 40 else SystemSnapshot(dict.fromkeys(PARTS, at(-9000)), is_usable=True)
        )

    assert watched(see, 200) == {}


def test_a_part_that_never_comes_up_is_down_after_the_start() -> None:
    changes = watched(lambda second: without("evaluator", second, 0), 200)
    assert first(changes) == (STARTUP_LIMIT.seconds + 1, ["botwatch/botwatch-part-down/part=evaluator"])


def test_redis_away_is_told_once_and_not_that_parts_are_down_too() -> None:
    def see(second: int) -> SystemSnapshot:
        if 100 <= second < 160:
            return SystemSnapshot(None, is_usable=True, last_beat_at=at(95))
        # Redis is back with the signs from before; parts connect again some seconds later.
        return without("evaluator", second, 100, 168)

    assert watched(see, 300) == {112: ["botwatch/botwatch-redis-away"], 160: []}


def test_a_part_that_was_down_before_redis_was_away_stays_so() -> None:
    def see(second: int) -> SystemSnapshot:
        seen = without("evaluator", second, 100, 180)
        return seen._replace(heartbeats=None) if 130 <= second < 150 else seen

    down = "botwatch/botwatch-part-down/part=evaluator"
    assert watched(see, 300) == {
        112: [down],
        142: [down, "botwatch/botwatch-redis-away"],
        150: [down],
        180: [],
    }


def test_a_store_that_cannot_be_used_is_told_and_not_what_follows_from_it() -> None:
    def see(second: int) -> SystemSnapshot:
        return (
            SystemSnapshot(fine(second).heartbeats, is_usable=False) if 100 <= second < 200 else fine(second)
        )

    assert watched(see, 300) == {112: ["botwatch/botwatch-store-away"], 200: []}


def test_missing_beat_is_notified_while_all_parts_are_up() -> None:
    changes = watched(lambda second: fine(second)._replace(last_beat_at=at(min(second, 100) // 5 * 5)), 200)
    second, found = first(changes)
    assert found == ["botwatch/botwatch-watchdog-silent"]
    assert second <= 125


def test_the_silence_that_a_dead_part_leaves_is_not_told_beside_it() -> None:
    def see(second: int) -> SystemSnapshot:
        heard = at((second if not 100 <= second < 160 else 99) // 5 * 5)
        return without("evaluator", second, 100, 155)._replace(last_beat_at=heard)

    assert watched(see, 300) == {112: ["botwatch/botwatch-part-down/part=evaluator"], 155: []}


def test_symptom_does_not_resolve_when_its_cause_is_found() -> None:
    def see(second: int) -> SystemSnapshot:
        seen = without("notifier", second, 120, 160)
        return seen._replace(last_beat_at=at(95)) if 100 <= second < 170 else seen

    silent, down = "botwatch/botwatch-watchdog-silent", "botwatch/botwatch-part-down/part=notifier"
    assert watched(see, 300) == {116: [silent], 132: [down, silent], 160: [silent], 170: []}


@pytest.mark.parametrize("what", ["undispatched", "undelivered"])
def test_what_nobody_touches_is_overdue_and_what_moves_on_is_not(what: str) -> None:
    def stuck(second: int) -> SystemSnapshot:
        return fine(second)._replace(**{what: 7 if 100 <= second < 150 else None})  # type: ignore[arg-type]

    def moving(second: int) -> SystemSnapshot:
        return fine(second)._replace(**{what: second // 10})  # type: ignore[arg-type]

    assert watched(stuck, 300) == {
        101 + DELIVERY_LIMIT.seconds: ["botwatch/botwatch-deliveries-overdue"],
        150: [],
    }
    assert watched(moving, 300) == {}


def test_a_machine_that_slept_is_given_time_to_wake_up() -> None:
    def see(second: int) -> SystemSnapshot | None:
        return None if 100 <= second < 5000 else without("evaluator", second, 100, 5008)

    assert watched(see, 5100) == {}


def test_an_old_backup_is_said_until_there_is_a_new_one() -> None:
    """Older than the limit by a second; a watchdog that starts later says it at once."""

    def see(second: int) -> SystemSnapshot:
        made = at(150) if second >= 150 else at(100) - timedelta(hours=36)
        return fine(second)._replace(newest_backup_at=made)

    found = watched(see, 200)
    assert first(found) == (101, ["botwatch/botwatch-backup-overdue"])
    assert found[150] == []
    late = watched(see, 140, Diagnosis(PARTS, at(110)), begin=111)
    assert first(late)[1] == ["botwatch/botwatch-backup-overdue"]


def test_before_the_first_backup_nothing_is_overdue() -> None:
    """Whether the job runs is a check of its own."""
    assert watched(lambda second: fine(second)._replace(newest_backup_at=None), 100) == {}


def test_a_clock_that_is_set_back_hides_no_dead_part() -> None:
    watch = Diagnosis(PARTS, at(0))
    assert watched(fine, 100, watch) == {}
    later = watched(lambda second: without("evaluator", second, -3500), -3400, watch, begin=-3500)
    assert first(later)[1] == ["botwatch/botwatch-part-down/part=evaluator"]


def taken_over(watch: Diagnosis, **see: object) -> Diagnosis:
    seen = SystemSnapshot(**({"heartbeats": dict.fromkeys(PARTS, at(0)), "is_usable": True} | see))  # type: ignore[arg-type]
    before = Diagnosis(PARTS, at(-1000))
    troubles: list[SelfAlert] = []
    for second in range(-999, 0):
        troubles = before.evaluate(seen, at(second)) or troubles
    for one in troubles:
        watch.restore(build_alert(one, "watchdog", "", at(-60)))
    return watch


@pytest.mark.parametrize(
    ("seen", "fingerprint"),
    [
        ({"heartbeats": {"notifier": at(0)}}, "botwatch/botwatch-part-down/part=evaluator"),
        ({"heartbeats": None}, "botwatch/botwatch-redis-away"),
        ({"is_usable": False}, "botwatch/botwatch-store-away"),
    ],
)
def test_problems_of_an_earlier_watchdog_stay_until_seen_resolved(
    seen: dict[str, object], fingerprint: str
) -> None:
    watch = taken_over(Diagnosis(PARTS, at(0)), **seen)
    first_look = fine(1)._replace(**seen)  # type: ignore[arg-type]
    assert fingerprint in [one.fingerprint for one in watch.evaluate(first_look, at(1))]
    for second in (2, 3, 4, 5, 6):
        found = watch.evaluate(fine(second), at(second))
    assert found == []


def troubles() -> Iterator[SelfAlert]:
    watch = Diagnosis(EXPECTED_PARTS - {"watchdog"}, at(0))
    for second in range(1, 70):
        found = watch.evaluate(SystemSnapshot({}, is_usable=True), at(second))
    yield from found
    watch = Diagnosis(PARTS, at(0))
    for second in range(1, 70):
        found = watch.evaluate(fine(second)._replace(undelivered=7, last_beat_at=at(0)), at(second))
    yield from found
    watch = Diagnosis(PARTS, at(0))
    for second in range(1, 70):
        found = watch.evaluate(SystemSnapshot(None, is_usable=False), at(second))
    yield from found


@pytest.mark.parametrize("trouble", list(troubles()), ids=lambda trouble: trouble.fingerprint)
def test_every_message_says_what_is_wrong_and_what_that_means(trouble: SelfAlert) -> None:
    what, _, means = trouble.message.partition(": ")
    assert what
    assert means or trouble.rule == "botwatch-deliveries-overdue"
    assert trouble.runbook == trouble.rule
    assert trouble.value > trouble.threshold


def test_patience_and_what_comes_after_it_leave_room_within_thirty_seconds() -> None:
    assert RESPONSE_LIMIT + timedelta(seconds=5) < timedelta(seconds=30)


def test_a_full_disk_is_one_alert_and_not_one_for_each_part_that_waits() -> None:
    """Signs of life stop and the store fails because of the disk: only the disk is wrong."""

    def see(second: int) -> SystemSnapshot:
        if not 100 <= second < 200:
            return fine(second)
        return SystemSnapshot(
            dict.fromkeys(PARTS, at(99)), is_usable=second % 2 == 0, disk="Disk full on vm", redis_refusal="x"
        )

    assert watched(see, 300) == {103: ["botwatch/botwatch-disk-full"], 200: []}


def test_low_disk_space_is_an_alert_beside_others() -> None:
    """It opens after 30 s, and does not hide that a part is down."""

    def see(second: int) -> SystemSnapshot:
        alive = fine(min(second, 120))
        return alive._replace(disk_low="Disk space low on vm" if 100 <= second < 200 else None)

    opened = watched(see, 135)
    assert opened[130] == ["botwatch/botwatch-disk-low"]
    assert len(opened) > 1


def test_a_redis_that_takes_no_writes_is_one_alert_with_its_reason() -> None:
    """Parts cannot give signs of life then: they are not down."""

    def see(second: int) -> SystemSnapshot:
        refusal = "Redis is out of memory" if second > 100 else None
        return fine(min(second, 100))._replace(redis_refusal=refusal)

    watch = Diagnosis(PARTS, at(0))
    assert watched(see, 130, watch) == {113: ["botwatch/botwatch-redis-away"]}
    (found,) = watch.evaluate(see(131), at(131))
    assert found.message == "Redis is out of memory: no records are accepted"


@pytest.mark.parametrize(
    ("what", "rule"),
    [(RECORDS_REFUSED, "botwatch-too-many-bots"), (VALUES_EVICTED, "botwatch-latest-evicted")],
)
def test_a_count_that_rises(what: str, rule: str) -> None:
    """It is wrong from the first rise until five minutes after the last; what was counted before is not."""

    def see(second: int) -> SystemSnapshot:
        return fine(second)._replace(counts={what: 7 + min(max(second - 99, 0), 10)})

    assert watched(see, 500) == {100: [f"botwatch/{rule}"], 410: []}


def test_a_count_that_begins_again() -> None:
    """A Redis that lost its counts, or does not answer, is no rise and no end of one."""

    def see(second: int) -> SystemSnapshot:
        counts = {RECORDS_REFUSED: 7 if second < 100 else second // 150}
        return fine(second)._replace(counts=None if second % 2 else counts)

    assert watched(see, 160) == {150: ["botwatch/botwatch-too-many-bots"]}


def test_a_count_taken_over() -> None:
    """What the watchdog before found is open for five minutes more, and says how many."""
    watch = Diagnosis(PARTS, at(0))
    watch.evaluate(fine(0)._replace(counts={RECORDS_REFUSED: 1}), at(0))
    (found,) = watch.evaluate(fine(1)._replace(counts={RECORDS_REFUSED: 4}), at(1))
    assert (found.metric, found.value, found.threshold, found.severity) == ("recordsRefused", 3, 0, "HIGH")
    later = Diagnosis(PARTS, at(10))
    later.restore(build_alert(found, "watchdog", "", at(1)))
    changes = watched(lambda second: fine(second)._replace(counts={RECORDS_REFUSED: 4}), 400, later, begin=10)
    assert changes == {11: ["botwatch/botwatch-too-many-bots"], 311: []}


@pytest.mark.parametrize(
    ("metric", "value", "texts"),
    [
        ("secondsWithout", 185, ("Time since it last worked", "3m 5s", "12 s")),
        ("recordsRefused", 3, ("Records refused", "3", "12")),
        ("undelivered", 3, ("Undelivered notifications", "3", "12")),
    ],
)
def test_measures_of_our_own_alerts(metric: str, value: float, texts: tuple[str, str, str]) -> None:
    """An alert about Botwatch itself names its measure in words and has the unit."""
    details = Details(rule="r", metric=metric, value=value, operator=">", threshold=12)
    assert (details.measure, details.value_text, details.limit_text) == texts


def with_job(second: int, **changes: object) -> SystemSnapshot:
    """Everything is fine but for a job that is due at second 50."""
    run = JobRun(**{"name": "retention", "next_due_at": at(50)} | changes)  # type: ignore[arg-type]
    return fine(second)._replace(jobs={"retention": run})


def test_job_fails_after_every_attempt_and_recovers_with_a_success() -> None:
    """Failures that are retried raise nothing; the alert names the job and ends with its success."""

    def see(second: int) -> SystemSnapshot:
        failures = min(ATTEMPTS, second // 100) if second < 600 else 0
        return with_job(second, failures=failures, next_due_at=at(50 if failures else 10**6))

    changes = watched(see, 700)
    assert changes == {ATTEMPTS * 100: ["botwatch/botwatch-job-failing/job=retention"], 600: []}


def test_a_job_is_overdue_half_an_hour_after_it_was_due() -> None:
    """It is fine again when its next run is in the future."""
    late = 50 + int(OVERDUE_AFTER.total_seconds()) + 1

    def see(second: int) -> SystemSnapshot:
        return with_job(second, **({"next_due_at": at(10**6)} if second >= late + 100 else {}))

    changes = watched(see, late + 200)
    assert changes == {late: ["botwatch/botwatch-job-failing/job=retention"], late + 100: []}


def test_job_due_during_suspend_is_not_overdue_at_once() -> None:
    """After a gap the limit starts again."""
    until = 50 + int(OVERDUE_AFTER.total_seconds()) + 300
    assert watched(lambda second: with_job(second) if not 60 < second < 600 else None, until) == {}


def test_while_the_jobs_part_is_down_nothing_is_said_of_its_jobs() -> None:
    """One alert about the part, none about each job."""
    parts = frozenset(("jobs",))

    def see(second: int) -> SystemSnapshot:
        return with_job(second)._replace(heartbeats={"jobs": at(min(second, 45))})

    changes = watched(see, 3_000, Diagnosis(parts, at(0)))
    assert list(changes.values()) == [["botwatch/botwatch-part-down/part=jobs"]]


def test_the_alert_about_a_job_says_why() -> None:
    """The error of the last attempt, or since when the job is overdue."""
    watch = Diagnosis(PARTS, at(0))
    (alert,) = watch.evaluate(with_job(1, failures=4, outcome="failure", error="OSError: full"), at(1))
    assert (alert.severity, alert.message) == ("MEDIUM", "Job retention failed 4 times: OSError: full")


def test_the_alert_about_a_job_outlives_the_watchdog() -> None:
    """A later watchdog takes the open alert over and ends it with the job's success."""
    (found,) = Diagnosis(PARTS, at(0)).evaluate(with_job(1, failures=4), at(1))
    later = Diagnosis(PARTS, at(10))
    later.restore(build_alert(found, "watchdog", "", at(1)))
    assert [one.fingerprint for one in later.evaluate(with_job(11, failures=4), at(11))] == [
        found.fingerprint
    ]
    assert later.evaluate(with_job(12), at(12)) == []
