"""Killed at every step of a story, the evaluator ends with what it ends with when nothing happens to it.

The log's entries have moments of their own in the past and the evaluator looks at a clock that the story
sets, so that ten minutes pass without waiting.
"""

import json
import random
import re
import shutil
import threading
from collections.abc import Callable, Container, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from redis import Redis
from sqlalchemy import Table, select

from services.evaluator import evaluator as shell
from services.evaluator.evaluator import Evaluator
from shared.rules.loader import rule_from_condition
from shared.runtime.redis.record_log import RecordLog
from shared.schema import redis_keys
from shared.schema.conditions import Condition
from shared.schema.records import (
    AnyRecord,
    Check,
    CheckStatus,
    Equity,
    Heartbeat,
    Performance,
    encode_frame,
)
from shared.schema.timestamps import EPOCH, MILLISECOND, from_epoch_ms
from shared.store.database import Database, sqlite_url
from shared.store.tables import alert_events, alerts, notifications
from tests.notification_planning import dispatch_due

pytestmark = pytest.mark.slow  # repeats a story for each kill

BEGIN = 1_767_225_600_000
SAVE_EVERY = 7
STEPS = 48
LULL = 30
"""The step before which nothing comes for so long that alerts do not open again but anew."""
GAP = 5
"""Kills in one run are so many steps apart: in as many runs there is one at every step."""
BEAT_MS = 5_000
"""The watchdog writes an entry without records so often: silence of the log means that nothing ran."""
AWAY = 5
"""For so many steps nobody goes on."""
CONDITIONS: list[dict[str, Any]] = [
    {"name": "drawdown", "metricName": "maxDrawdown", "operator": ">", "threshold": 20, "severity": "HIGH",
     "clearThreshold": 15, "for": "6s", "keepFiringFor": "5s",
     "levels": [{"threshold": 40, "severity": "CRITICAL"}]},
    {"name": "slippage", "metricName": "slippageBps", "operator": ">", "threshold": 25, "severity": "MEDIUM",
     "aggregate": "avg", "window": "20s"},
    {"name": "latency", "metricName": "orderLatencyMs", "operator": ">=", "threshold": 40, "severity": "LOW",
     "aggregate": "quantile", "quantile": 0.9, "window": "15s", "for": "3s"},
    {"name": "rejects", "metricName": "rejectRate", "operator": ">", "threshold": 25, "severity": "MEDIUM",
     "times": 2, "of": 3},
    {"name": "silent", "kind": "absence", "metricName": "heartbeat", "period": "12s", "grace": "3s",
     "severity": "MEDIUM", "levels": [{"threshold": 30, "severity": "CRITICAL"}]},
    {"name": "past", "metricName": "equity", "operator": "<", "threshold": -10, "severity": "HIGH",
     "window": "12s", "comparedWith": {"offset": "30s", "as": "percent"}},
    {"name": "unusual", "metricName": "equity", "operator": ">", "threshold": 1.0, "severity": "LOW",
     "window": "3s", "comparedWith": {"baseline": "2m"}},
    {"name": "apart", "metricName": "exposure", "operator": ">", "threshold": 20, "severity": "LOW",
     "comparedWith": {"metricName": "netExposure"}, "keepFiringFor": "4s"},
    {"name": "both", "kind": "combination", "match": "all", "severity": "HIGH", "for": "2s",
     "conditions": [{"metricName": "leverage", "operator": ">", "threshold": 20},
                    {"metricName": "maxDrawdown", "operator": ">", "threshold": 20,
                     "aggregate": "max", "window": "10s"}]},
    {"name": "process-down", "metricName": "checkState", "operator": ">=", "threshold": 1,
     "severity": "MEDIUM", "for": "6s", "description": "{check}: {text}",
     "levels": [{"threshold": 2, "severity": "CRITICAL"}]},
    {"name": "flaps", "metricName": "winRate", "operator": "<", "threshold": 20, "severity": "LOW"},
]  # fmt: skip
RULES = [rule_from_condition(msgspec.convert(condition, Condition)) for condition in CONDITIONS]
FIGURES = (
    "max_drawdown", "slippage_bps", "order_latency_ms", "reject_rate", "exposure", "net_exposure", "leverage",
)  # fmt: skip


class EvaluatorKilled(BaseException):
    """The end of a process, as nothing in it can catch it."""


class Moment(NamedTuple):
    """One step of the story: the clock stands at `at`, and perhaps an entry was written then."""

    at: int
    records: list[AnyRecord]


def story() -> list[Moment]:
    """Return two bots that go up and down, fall silent and come back, and at last ten quiet minutes."""
    chance = random.Random(4)
    found, at = [], BEGIN
    for step in range(STEPS):
        at += chance.randint(1, 5000) if step != LULL else 400_000
        records: list[AnyRecord] = []
        for bot in ("a", "b"):
            if chance.random() < 0.6:
                records += said(bot, at - chance.choice((0, 0, 5, 2500, -9999)), step, chance)
        found.append(Moment(at, records))
    return [*found, *(Moment(at + minute * 60_000, []) for minute in range(1, 11))]


def said(bot: str, at: int, step: int, chance: random.Random) -> Iterator[AnyRecord]:
    moment = EPOCH + at * MILLISECOND
    labels = {"venue": "x"} if bot == "b" else {}
    figures: dict[str, Any] = {name: round(chance.uniform(0, 50), 2) for name in FIGURES}
    yield Performance(
        bot=bot,
        portfolio_value=1.0,
        win_rate=10.0 + 40 * (step % 2),
        timestamp=moment,
        labels=labels,
        **figures,
    )
    status: CheckStatus = ("ok", "warning", "critical", "unknown", "critical", "critical")[step // 3 % 6]
    yield Check(
        host=bot, check="bot", type="process", status=status, text=f"as in step {step}", timestamp=moment
    )
    yield Equity(bot=bot, equity=round(chance.uniform(50, 150), 2), timestamp=moment, labels=labels)
    if chance.random() < 0.5:
        yield Heartbeat(bot=bot, timestamp=moment)


STORY = story()


class Sped(Evaluator):
    """An evaluator whose clock the story sets, and that does not wait."""

    time = BEGIN
    saves = False
    """Whether it stores what rules remember after the next step."""

    @property
    def place(self) -> tuple[object, ...]:
        """How far it is."""
        return (self._is_caught_up, self._engine.now, self._folded, self._reader._reader._resume)  # noqa: SLF001

    def _block_ms(self, _due: int | None, _now: int) -> int:
        return 0  # read what is there


class Run:
    """The story with what watches it."""

    def __init__(self, redis: Redis, empty: Path, file: Path) -> None:
        shutil.copy(empty, file)
        redis.flushall()
        self.redis = redis
        self.database = Database(sqlite_url(file))
        self.evaluator = self.start()

    def start(self) -> Sped:
        """Return a new evaluator, as after a restart."""
        log = RecordLog(self.redis)
        evaluator = Sped(log, self.database, RULES, "http://page", threading.Event(), lambda: Sped.time)
        evaluator.start()
        return evaluator

    def play(self, kill: "Kill | None" = None, steps: Container[int] = (), away: int = 0) -> list[Any]:
        """Go through the story, killed at `steps`; after `away` further ones a new evaluator goes on."""
        back, beat = 0, BEGIN
        for step, moment in enumerate(STORY):
            Sped.time = moment.at
            while beat + BEAT_MS < moment.at:
                beat += BEAT_MS
                self.redis.xadd(
                    redis_keys.record_stream(), {redis_keys.FIELD: encode_frame([])}, id=f"{beat}-0"
                )
            if moment.records:
                frame = encode_frame(moment.records)
                self.redis.xadd(redis_keys.record_stream(), {redis_keys.FIELD: frame}, id=f"{moment.at}-0")
            if step < back:
                continue
            if step == back:
                self.evaluator = self.start()
            if not self.survives(step, kill if step in steps else None):
                back = step + away
                if not away:
                    self.evaluator = self.start()
                    self.advance(step)
        if back >= len(STORY):
            self.evaluator = self.start()
            self.advance(0)
        self.evaluator.save()
        found = self.outcome()
        self.database.close()
        return found

    def survives(self, step: int, kill: "Kill | None") -> bool:
        """Go one step on; False when the evaluator was killed in it or after it."""
        try:
            dies = bool(kill and kill(self.evaluator))
            self.advance(step)
        except EvaluatorKilled:
            return False
        return not dies

    def advance(self, step: int) -> None:
        """Let the evaluator read all that there is, and let happen what is due."""
        for _ in range(100):
            before = self.evaluator.place
            self.evaluator.step()
            if before == self.evaluator.place:
                break
        if step % SAVE_EVERY == SAVE_EVERY - 1 or self.evaluator.saves:
            self.evaluator.save()

    def outcome(self) -> list[Any]:
        """Return every row on alerts, ids replaced by the order in which they were given."""
        dispatch_due(self.database, from_epoch_ms(STORY[-1].at))
        with self.database.read() as connection:
            rows = [
                [list(row) for row in connection.execute(select(table).order_by(*order(table)))]
                for table in (alerts, alert_events, notifications)
            ]
        names: dict[str, str] = {}
        # What was in the store meanwhile is 2.0, what was not is 2: the same number.
        text = re.sub(r"(?<=\d)\.0\b", "", json.dumps(rows, indent=1))
        return list(
            json.loads(re.sub(r"[0-9a-f]{32}", lambda m: names.setdefault(m[0], f"#{len(names)}"), text))
        )


def order(table: Table) -> list[Any]:
    return [table.c.timestamp, table.c.fingerprint] if table is alerts else [table.c.id]


def die(*_arguments: object) -> None:
    raise EvaluatorKilled


Kill = Callable[[Sped], bool]
"""Makes an evaluator die in the step that follows, or says that it dies after it."""


def after_the_step(_evaluator: Sped) -> bool:
    return True


def before_the_commit(evaluator: Sped) -> bool:
    evaluator.alerts.commit = die  # type: ignore[method-assign,assignment]
    return False


def between_commit_and_telling(evaluator: Sped) -> bool:
    evaluator.alerts._wake_and_publish = die  # type: ignore[method-assign,assignment]  # noqa: SLF001
    return False


def between_saving_and_acknowledging(evaluator: Sped) -> bool:
    evaluator._reader.ack = die  # type: ignore[method-assign,assignment]  # noqa: SLF001
    evaluator.saves = True
    return False


KILLS = (after_the_step, before_the_commit, between_commit_and_telling, between_saving_and_acknowledging)


@pytest.fixture
def run(redis: Redis, migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Run]:
    monkeypatch.setattr(shell, "SAVE_INTERVAL_MS", float("inf"))
    number = count()

    def begin() -> Run:
        Sped.time = BEGIN
        return Run(redis, migrated / "health.db", tmp_path / f"{next(number)}.db")

    return begin


@pytest.fixture(scope="module")
def undisturbed() -> list[list[Any]]:
    """Return what the first run finds, for the others to compare with."""
    return []


@pytest.fixture
def expected(run: Callable[[], Run], undisturbed: list[list[Any]]) -> list[Any]:
    if not undisturbed:
        undisturbed.append(run().play())
    return undisturbed[0]


def test_the_story_has_something_of_everything(expected: list[Any]) -> None:
    rows, events, outbox = expected
    assert {json.loads(row[7])["rule"] for row in rows} == {rule.name for rule in RULES}
    changes = {event[3] for event in events}
    assert changes == {"opened", "reopened", "flapping", "raised", "lowered", "resolved"}
    assert {row[6] for row in rows} == {"RESOLVED", "ACTIVE"}
    assert {row[5].rstrip("0123456789") for row in rows if "process-down" in row[7]} == {"bot: as in step "}
    assert len(outbox) > 100


@pytest.mark.parametrize("first", range(GAP))
@pytest.mark.parametrize("kill", KILLS)
def test_killed_at_any_step_all_is_as_if_nothing_had_happened(
    run: Callable[[], Run], expected: list[Any], kill: Kill, first: int
) -> None:
    assert run().play(kill, range(first, len(STORY), GAP)) == expected


@pytest.mark.parametrize("kill", KILLS)
def test_killed_at_every_single_step_all_is_as_if_nothing_had_happened(
    run: Callable[[], Run], expected: list[Any], kill: Kill
) -> None:
    assert run().play(kill, range(len(STORY))) == expected


@pytest.mark.parametrize("first", [0, 2, 4])
def test_away_for_a_while_all_is_as_if_it_had_been_there(
    run: Callable[[], Run], expected: list[Any], first: int
) -> None:
    assert run().play(after_the_step, range(first, len(STORY), GAP), AWAY) == expected
