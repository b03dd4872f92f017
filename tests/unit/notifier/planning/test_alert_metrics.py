"""Metrics of alerts: changes by rule, how long until somebody acknowledged, and until the end."""

import pytest
from prometheus_client import REGISTRY

from services.notifier.planning import alert_metrics
from services.notifier.planning.alert_metrics import OTHER_RULES, AlertMetrics
from shared.schema.watchdog import WATCHDOG
from shared.store.database import Database
from shared.store.escalations import AlertEvent
from tests.unit.notifier.config import NOON
from tests.unit.notifier.planning_harness import MINUTE, PlanningHarness, channels


class Samples:
    """How much samples have grown since the beginning of a test."""

    def __init__(self) -> None:
        self._begin = self._read()

    def _read(self) -> dict[str, float]:
        return {
            f"{sample.name}{sorted(sample.labels.values())}": sample.value
            for metric in REGISTRY.collect()
            for sample in metric.samples
        }

    def grown(self, name: str) -> dict[str, float]:
        """Return by labels how much the samples of a name have grown."""
        found = {
            key.removeprefix(name): value - self._begin.get(key, 0)
            for key, value in self._read().items()
            if key.startswith(f"{name}[")
        }
        return {key: value for key, value in found.items() if value}


@pytest.fixture
def story(database: Database) -> PlanningHarness:
    """Return a notifier with one channel."""
    return PlanningHarness(database, channels("desk"))


def test_every_change_counts_once_whoever_makes_it(story: PlanningHarness) -> None:
    """The evaluator opens, a person acknowledges: both are on the timeline that the dispatcher reads."""
    samples = Samples()
    story.open(rule="noise")
    story.acknowledge()
    story.step()
    story.change("resolved")
    assert samples.grown("botwatch_alert_changes_total") == {
        "['acknowledged', 'noise']": 1, "['noise', 'opened']": 1, "['noise', 'resolved']": 1,
    }  # fmt: skip
    assert samples.grown("botwatch_step_seconds_count") == {"['planned']": 2}


def test_the_time_to_acknowledge_is_that_of_the_first_one_since_the_alert_opened(
    story: PlanningHarness,
) -> None:
    """A second acknowledgement adds none; a reopened alert begins again; the end counts from there too."""
    samples = Samples()
    story.open()
    story.advance(3 * MINUTE)
    story.acknowledge()
    story.advance(MINUTE)
    story.acknowledge()
    story.change("resolved")
    assert samples.grown("botwatch_alert_acknowledge_seconds_sum") == {"['HIGH']": 180}
    assert samples.grown("botwatch_alert_resolve_seconds_sum") == {"['HIGH']": 240}
    story.advance(2 * MINUTE)
    story.change("reopened")
    story.advance(MINUTE)
    story.acknowledge()
    story.change("resolved")
    assert samples.grown("botwatch_alert_acknowledge_seconds_sum") == {"['HIGH']": 240}
    assert samples.grown("botwatch_alert_resolve_seconds_sum") == {"['HIGH']": 300}
    assert samples.grown("botwatch_alert_resolve_seconds_count") == {"['HIGH']": 2}


def test_rules_past_the_bound_share_one_label(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Prometheus that sends alerts of ever new names makes no series for each."""
    monkeypatch.setattr(alert_metrics, "MAX_RULES", 2)
    samples, metrics = Samples(), AlertMetrics()
    events = [
        AlertEvent(number, "a", "lowered", None, None, NOON, f"bound-{number % 4}", "LOW")
        for number in range(8)
    ]
    metrics.count(events, {}, NOON)
    assert samples.grown("botwatch_alert_changes_total") == {
        "['bound-0', 'lowered']": 2, "['bound-1', 'lowered']": 2, f"['{OTHER_RULES}', 'lowered']": 4,
    }  # fmt: skip


def test_the_watchdogs_beat_is_no_change_of_an_alert() -> None:
    """It passes every five seconds, and would be most of what is counted."""
    samples = Samples()
    beat = AlertEvent(1, WATCHDOG, "repeated", None, None, NOON, WATCHDOG, "LOW")
    AlertMetrics().count([beat], {}, NOON)
    assert samples.grown("botwatch_alert_changes_total") == {}
