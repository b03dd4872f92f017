"""Notices of what happened a while ago: nobody hears of what is over, but once, in a summary."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from services.notifier.planning.dispatcher import CATCH_UP_RULE
from services.notifier.planning.planner import RESOLVED_BEFORE_NOTIFIED, SETTLE_TIME
from shared.store import outbox
from shared.store.database import Database
from shared.store.deliveries import CATCH_UP
from shared.store.tables import alerts, notifications
from tests.unit.notifier.planning_harness import MINUTE, PlanningHarness, channels

SECOND = timedelta(seconds=1)


@pytest.fixture
def story(health: Database) -> PlanningHarness:
    """Return a notifier that was down while an alert `a1` opened; ten minutes later it goes on."""
    return PlanningHarness(health, channels("desk"))


def summaries(story: PlanningHarness) -> list[str]:
    with story.database.read() as connection:
        rule = alerts.c.details.like(f'%"rule":"{CATCH_UP_RULE}"%')
        return list(connection.execute(select(alerts.c.message).where(rule)).scalars())


def sent(story: PlanningHarness) -> list[tuple[str, str]]:
    """Return what the channel was told: alert (its message where it is the summary) and change."""
    with story.database.read() as connection:
        rows = connection.execute(
            select(notifications.c.alertId, notifications.c.change)
            .where(notifications.c.state == "SENT", notifications.c.channel == "desk")
            .order_by(notifications.c.id)
        ).all()
    return [(row.alertId if len(row.alertId) < 9 else "summary", row.change) for row in rows]


@pytest.mark.parametrize("between", [0, 1], ids=["at once", "an event later"])
def test_over_when_the_notifier_comes_back(story: PlanningHarness, between: int) -> None:
    """Two alerts that opened and ended meanwhile bring one notice: the summary with both of them."""
    for name in ("a1", "a2"):
        story.open(name, dispatch=False)
    story.advance(10 * MINUTE, downtime=True)
    if between:
        story.step()
    for name in ("a1", "a2"):
        story.change("resolved", name, dispatch=False)
    for _ in range(10):
        story.step()
        story.now += SECOND
    assert sent(story) == [("summary", "opened")]
    (message,) = summaries(story)
    assert message.startswith("2 alerts opened and resolved while Botwatch was catching up: ")
    with story.database.read() as connection:
        (row, *_) = outbox.delivery_history(connection, "a1")
    assert (row["state"], row["lastError"]) == ("SUPPRESSED", RESOLVED_BEFORE_NOTIFIED)
    story.advance(10 * MINUTE)
    story.step()
    assert len(summaries(story)) == 1


def test_still_open_when_the_notifier_comes_back(story: PlanningHarness) -> None:
    """An alert that is still open after a moment is notified, late, and its end too."""
    story.open(dispatch=False)
    story.advance(10 * MINUTE, downtime=True)
    story.step()
    assert sent(story) == []
    story.now += SETTLE_TIME
    story.step()
    story.change("resolved")
    assert sent(story) == [("a1", "opened"), ("a1", "resolved")]
    assert summaries(story) == []
    with story.database.read() as connection:
        assert outbox.delivery_history(connection, "a1")[0]["batch"] == CATCH_UP


def test_killed_before_the_summary(story: PlanningHarness) -> None:
    """A notifier that was killed between withdrawing and the summary writes it at its next start."""
    story.open(dispatch=False)
    story.advance(10 * MINUTE, downtime=True)
    story.change("resolved", dispatch=False)
    story.step()
    story.dispatcher = story.dispatching(channels("desk"))
    story.step()
    assert len(summaries(story)) == 1
