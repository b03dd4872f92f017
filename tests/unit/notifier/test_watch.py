"""What the watch makes of what it sees, moment by moment."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from services.notifier.trouble import Trouble, alert_of
from services.notifier.watch import EVICTED, OVERDUE, PATIENCE, REFUSED, STARTING, Seen, Watch
from shared.runtime.parts import EXPECTED
from shared.schema.alerts import Details

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
PARTS = frozenset(("evaluator", "notifier"))
Found = dict[int, list[str]]


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def fine(second: int) -> Seen:
    """Everything gives a new sign."""
    return Seen(dict.fromkeys(PARTS, at(second)), is_usable=True, heard=at(second // 5 * 5))


def watched(
    see: Callable[[int], Seen | None], until: int, watch: Watch | None = None, begin: int = 0
) -> Found:
    """Look once a second, not where there is None to be seen; return the changes of what is wrong."""
    watch = watch or Watch(PARTS, at(begin))
    changes: Found = {}
    before: list[str] = []
    for second in range(begin + 1, until + 1):
        if (seen := see(second)) is None:
            continue
        now = sorted(one.fingerprint for one in watch.judge(seen, at(second)))
        if now != before:
            changes[second] = now
        before = now
    return changes


def without(part: str, second: int, since: int, until: int = 10**6) -> Seen:
    signs = dict(fine(second).signs or {})
    if since <= second < until:
        signs[part] = at(since - 1)
    return fine(second)._replace(signs=signs)


def first(changes: Found) -> tuple[int, list[str]]:
    return next(iter(changes.items()))


def test_nothing_is_wrong_while_everything_gives_signs() -> None:
    assert watched(fine, 300) == {}


def test_a_part_that_gives_no_new_sign_is_down_after_its_patience_and_fine_with_the_next_sign() -> None:
    changes = watched(lambda second: without("evaluator", second, 100, 140), 200)
    assert changes == {112: ["botwatch/botwatch-part-down/part=evaluator"], 140: []}


def test_a_part_that_took_its_sign_down_is_down_as_well() -> None:
    def see(second: int) -> Seen:
        signs = {name: sign for name, sign in (fine(second).signs or {}).items() if name != "notifier"}
        return fine(second) if second < 100 else fine(second)._replace(signs=signs)

    assert first(watched(see, 200)) == (112, ["botwatch/botwatch-part-down/part=notifier"])


def test_a_restart_within_the_patience_raises_nothing() -> None:
    assert watched(lambda second: without("evaluator", second, 100, 110), 200) == {}


def test_the_stale_signs_of_an_earlier_run_raise_nothing_while_the_parts_come_up() -> None:
    def see(second: int) -> Seen:
        return fine(second) if second > 40 else Seen(dict.fromkeys(PARTS, at(-9000)), is_usable=True)

    assert watched(see, 200) == {}


def test_a_part_that_never_comes_up_is_down_after_the_start() -> None:
    changes = watched(lambda second: without("evaluator", second, 0), 200)
    assert first(changes) == (STARTING.seconds + 1, ["botwatch/botwatch-part-down/part=evaluator"])


def test_redis_away_is_told_once_and_not_that_parts_are_down_too() -> None:
    def see(second: int) -> Seen:
        if 100 <= second < 160:
            return Seen(None, is_usable=True, heard=at(95))
        # Redis is back with the signs from before; parts connect again some seconds later.
        return without("evaluator", second, 100, 168)

    assert watched(see, 300) == {112: ["botwatch/botwatch-redis-away"], 160: []}


def test_a_part_that_was_down_before_redis_was_away_stays_so() -> None:
    def see(second: int) -> Seen:
        seen = without("evaluator", second, 100, 180)
        return seen._replace(signs=None) if 130 <= second < 150 else seen

    down = "botwatch/botwatch-part-down/part=evaluator"
    assert watched(see, 300) == {
        112: [down],
        142: [down, "botwatch/botwatch-redis-away"],
        150: [down],
        180: [],
    }


def test_a_store_that_cannot_be_used_is_told_and_not_what_follows_from_it() -> None:
    def see(second: int) -> Seen:
        return Seen(fine(second).signs, is_usable=False) if 100 <= second < 200 else fine(second)

    assert watched(see, 300) == {112: ["botwatch/botwatch-store-away"], 200: []}


def test_a_beat_that_does_not_come_through_is_told_within_25_seconds_where_all_parts_live() -> None:
    changes = watched(lambda second: fine(second)._replace(heard=at(min(second, 100) // 5 * 5)), 200)
    second, found = first(changes)
    assert found == ["botwatch/botwatch-watchdog-silent"]
    assert second <= 125


def test_the_silence_that_a_dead_part_leaves_is_not_told_beside_it() -> None:
    def see(second: int) -> Seen:
        heard = at((second if not 100 <= second < 160 else 99) // 5 * 5)
        return without("evaluator", second, 100, 155)._replace(heard=heard)

    assert watched(see, 300) == {112: ["botwatch/botwatch-part-down/part=evaluator"], 155: []}


def test_what_was_wrong_before_its_cause_was_known_does_not_end_because_of_that() -> None:
    def see(second: int) -> Seen:
        seen = without("notifier", second, 120, 160)
        return seen._replace(heard=at(95)) if 100 <= second < 170 else seen

    silent, down = "botwatch/botwatch-watchdog-silent", "botwatch/botwatch-part-down/part=notifier"
    assert watched(see, 300) == {116: [silent], 132: [down, silent], 160: [silent], 170: []}


@pytest.mark.parametrize("what", ["undispatched", "undelivered"])
def test_what_nobody_touches_is_overdue_and_what_moves_on_is_not(what: str) -> None:
    def stuck(second: int) -> Seen:
        return fine(second)._replace(**{what: 7 if 100 <= second < 150 else None})  # type: ignore[arg-type]

    def moving(second: int) -> Seen:
        return fine(second)._replace(**{what: second // 10})  # type: ignore[arg-type]

    assert watched(stuck, 300) == {
        101 + OVERDUE.seconds: ["botwatch/botwatch-deliveries-overdue"],
        150: [],
    }
    assert watched(moving, 300) == {}


def test_a_machine_that_slept_is_given_time_to_wake_up() -> None:
    def see(second: int) -> Seen | None:
        return None if 100 <= second < 5000 else without("evaluator", second, 100, 5008)

    assert watched(see, 5100) == {}


def test_a_clock_that_is_set_back_hides_no_dead_part() -> None:
    watch = Watch(PARTS, at(0))
    assert watched(fine, 100, watch) == {}
    later = watched(lambda second: without("evaluator", second, -3500), -3400, watch, begin=-3500)
    assert first(later)[1] == ["botwatch/botwatch-part-down/part=evaluator"]


def taken_over(watch: Watch, **see: object) -> Watch:
    seen = Seen(**({"signs": dict.fromkeys(PARTS, at(0)), "is_usable": True} | see))  # type: ignore[arg-type]
    before = Watch(PARTS, at(-1000))
    troubles: list[Trouble] = []
    for second in range(-999, 0):
        troubles = before.judge(seen, at(second)) or troubles
    for one in troubles:
        watch.assume(alert_of(one, "watchdog", "", at(-60)))
    return watch


@pytest.mark.parametrize(
    ("seen", "fingerprint"),
    [
        ({"signs": {"notifier": at(0)}}, "botwatch/botwatch-part-down/part=evaluator"),
        ({"signs": None}, "botwatch/botwatch-redis-away"),
        ({"is_usable": False}, "botwatch/botwatch-store-away"),
    ],
)
def test_what_the_watchdog_before_found_stays_wrong_until_it_is_seen_to_be_fine(
    seen: dict[str, object], fingerprint: str
) -> None:
    watch = taken_over(Watch(PARTS, at(0)), **seen)
    first_look = fine(1)._replace(**seen)  # type: ignore[arg-type]
    assert fingerprint in [one.fingerprint for one in watch.judge(first_look, at(1))]
    for second in (2, 3, 4, 5, 6):
        found = watch.judge(fine(second), at(second))
    assert found == []


def troubles() -> Iterator[Trouble]:
    watch = Watch(EXPECTED - {"watchdog"}, at(0))
    for second in range(1, 70):
        found = watch.judge(Seen({}, is_usable=True), at(second))
    yield from found
    watch = Watch(PARTS, at(0))
    for second in range(1, 70):
        found = watch.judge(fine(second)._replace(undelivered=7, heard=at(0)), at(second))
    yield from found
    watch = Watch(PARTS, at(0))
    for second in range(1, 70):
        found = watch.judge(Seen(None, is_usable=False), at(second))
    yield from found


@pytest.mark.parametrize("trouble", list(troubles()), ids=lambda trouble: trouble.fingerprint)
def test_every_message_says_what_is_wrong_and_what_that_means(trouble: Trouble) -> None:
    what, _, means = trouble.message.partition(": ")
    assert what
    assert means or trouble.rule == "botwatch-deliveries-overdue"
    assert trouble.runbook == trouble.rule
    assert trouble.value > trouble.threshold


def test_patience_and_what_comes_after_it_leave_room_within_thirty_seconds() -> None:
    assert PATIENCE + timedelta(seconds=5) < timedelta(seconds=30)


def test_a_full_disk_is_one_alert_and_not_one_for_each_part_that_waits() -> None:
    """Signs of life stop and the store fails because of the disk: only the disk is wrong."""

    def see(second: int) -> Seen:
        if not 100 <= second < 200:
            return fine(second)
        return Seen(
            dict.fromkeys(PARTS, at(99)), is_usable=second % 2 == 0, disk="Disk full on vm", refusal="x"
        )

    assert watched(see, 300) == {103: ["botwatch/botwatch-disk-full"], 200: []}


def test_a_redis_that_takes_no_writes_is_one_alert_with_its_reason() -> None:
    """Parts cannot give signs of life then: they are not down."""

    def see(second: int) -> Seen:
        refusal = "Redis is out of memory" if second > 100 else None
        return fine(min(second, 100))._replace(refusal=refusal)

    watch = Watch(PARTS, at(0))
    assert watched(see, 130, watch) == {113: ["botwatch/botwatch-redis-away"]}
    (found,) = watch.judge(see(131), at(131))
    assert found.message == "Redis is out of memory: no record comes in"


@pytest.mark.parametrize(
    ("what", "rule"), [(REFUSED, "botwatch-too-many-bots"), (EVICTED, "botwatch-latest-evicted")]
)
def test_a_count_that_rises(what: str, rule: str) -> None:
    """It is wrong from the first rise until five minutes after the last; what was counted before is not."""

    def see(second: int) -> Seen:
        return fine(second)._replace(counts={what: 7 + min(max(second - 99, 0), 10)})

    assert watched(see, 500) == {100: [f"botwatch/{rule}"], 410: []}


def test_a_count_that_begins_again() -> None:
    """A Redis that lost its counts, or does not answer, is no rise and no end of one."""

    def see(second: int) -> Seen:
        counts = {REFUSED: 7 if second < 100 else second // 150}
        return fine(second)._replace(counts=None if second % 2 else counts)

    assert watched(see, 160) == {150: ["botwatch/botwatch-too-many-bots"]}


def test_a_count_taken_over() -> None:
    """What the watchdog before found is open for five minutes more, and says how many."""
    watch = Watch(PARTS, at(0))
    watch.judge(fine(0)._replace(counts={REFUSED: 1}), at(0))
    (found,) = watch.judge(fine(1)._replace(counts={REFUSED: 4}), at(1))
    assert (found.metric, found.value, found.threshold, found.severity) == ("recordsRefused", 3, 0, "HIGH")
    later = Watch(PARTS, at(10))
    later.assume(alert_of(found, "watchdog", "", at(1)))
    changes = watched(lambda second: fine(second)._replace(counts={REFUSED: 4}), 400, later, begin=10)
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
