"""Who is on call over HTTP: rotations, overrides, and whom a policy reaches."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient
from redis import Redis

from services.dashboard.app import create_dashboard_app
from services.dashboard.data_sources import DataSources
from shared.schema.channel_status import ChannelStatus, ChannelStatuses
from shared.schema.redis_keys import CHANNELS
from shared.store.database import Database
from tests.unit.dashboard.conftest import LINKS, SETTINGS
from tests.unit.dashboard.sample_data import NOON, get_json

ON_CALL = "/api/monitoring/on-call"
TEXT = """
channels:
  phone: { url: "${PHONE}", fallback: desk }
  desk: { url: "${DESK}" }
  dark: { url: "${DARK}" }
people:
  ann: { contacts: [phone] }
  bob: { contacts: [dark, desk] }
  cyd: { contacts: [dark] }
rotations:
  week:
    people: [ann, bob]
    begins: 2026-01-05
    timeZone: Europe/Berlin
    overrides:
      - { person: cyd, from: 2026-02-10T08:00:00Z, until: 2026-02-10T20:00:00Z }
      - { person: cyd, from: 2026-01-01T08:00:00Z, until: 2026-01-02T20:00:00Z }
  solo: { people: [ann], begins: 2026-01-05, every: 12h }
policies:
  page:
    rounds: 2
    pause: 10m
    acknowledgeTimeout: 4h
    steps:
      - { notify: [week] }
      - { after: 5m, notify: [cyd, desk], raiseSeverity: true }
routes:
  - { name: night, match: { severity: CRITICAL }, policy: page }
"""


def publish(redis: Redis, *names: str) -> None:
    """Say as the notifier does which channels are enabled."""
    statuses = [ChannelStatus(name=name, type="webhook", destination="x", activity="idle") for name in names]
    redis.set(CHANNELS, msgspec.json.encode(ChannelStatuses(at=NOON, channels=statuses)))


@pytest.fixture
def asking(redis: Redis, performance: Database, health: Database, tmp_path: Path) -> FlaskClient:
    (tmp_path / "notifications.yml").write_text(TEXT)
    publish(redis, "phone", "desk")
    sources = DataSources(redis, performance, health, config=tmp_path)
    return create_dashboard_app(SETTINGS, sources, LINKS, lambda: NOON).test_client()


def test_rotation(asking: FlaskClient) -> None:
    """Who is on call now, until when, and who is next; overrides and shifts of the days ahead."""
    found = get_json(asking, ON_CALL)
    assert (found["at"], found["until"], found["channelsKnown"]) == (
        "2026-01-31T12:00:00Z",
        "2026-02-28T12:00:00Z",
        True,
    )
    week, solo = found["rotations"]
    assert week["place"] == {"file": "notifications.yml", "path": "rotations.week"}
    assert (week["every"], week["handover"], week["timeZone"]) == ("weekly", "09:00", "Europe/Berlin")
    assert week["now"] == {
        "person": "bob",
        "until": "2026-02-02T08:00:00Z",
        "override": False,
        "channel": "desk",
    }
    assert (week["next"]["person"], week["next"]["end"]) == ("ann", "2026-02-09T08:00:00Z")
    assert [(shift["person"], shift["start"][5:13], shift["override"]) for shift in week["shifts"]] == [
        ("bob", "01-31T12", False),
        ("ann", "02-02T08", False),
        ("bob", "02-09T08", False),
        ("cyd", "02-10T08", True),
        ("bob", "02-10T20", False),
        ("ann", "02-16T08", False),
        ("bob", "02-23T08", False),
    ]
    assert [(each["person"], each["place"]["path"]) for each in week["overrides"]] == [
        ("cyd", "rotations.week.overrides[0]")
    ]
    assert (solo["now"]["person"], solo["now"]["until"], solo["next"]) == ("ann", None, None)
    assert [shift["person"] for shift in solo["shifts"]] == ["ann"]


def test_another_time(asking: FlaskClient) -> None:
    """`at` and `days` move what is shown; a handover after the last day is still named."""
    found = get_json(asking, f"{ON_CALL}?at=2026-02-10T09:00:00Z&days=1")
    week = found["rotations"][0]
    assert (week["now"]["person"], week["now"]["override"], week["now"]["channel"]) == ("cyd", True, None)
    later = get_json(asking, f"{ON_CALL}?at=2026-02-03T09:00:00Z&days=1")["rotations"][0]
    assert (later["now"]["until"], later["next"]["person"]) == ("2026-02-09T08:00:00Z", "bob")
    assert len(later["shifts"]) == 1


def test_policy(asking: FlaskClient) -> None:
    """Each step names whom it reaches now, by which channel, and the fallbacks; nobody is null."""
    found = get_json(asking, ON_CALL)
    [policy] = found["policies"]
    assert (policy["rounds"], policy["pauseSeconds"], policy["acknowledgeTimeoutSeconds"]) == (2, 600, 14400)
    assert policy["routes"] == ["night"]
    first, second = policy["steps"]
    assert (first["afterSeconds"], first["raisesSeverity"], second["afterSeconds"]) == (0, False, 300)
    assert first["notifies"] == [
        {"name": "week", "kind": "rotation", "person": "bob", "channel": "desk", "fallback": []}
    ]
    assert [(one["name"], one["person"], one["channel"]) for one in second["notifies"]] == [
        ("cyd", "cyd", None),
        ("desk", None, "desk"),
    ]
    assert {person["name"]: person["reachable"] for person in found["people"]} == {
        "ann": True,
        "bob": True,
        "cyd": False,
    }


def test_before_the_notifier_has_published(asking: FlaskClient, redis: Redis) -> None:
    """All channels of the document count as enabled, and the answer says so."""
    redis.delete(CHANNELS)
    found: Any = get_json(asking, ON_CALL)
    assert found["channelsKnown"] is False
    assert [person["reachable"] for person in found["people"]] == [True, True, True]


@pytest.mark.parametrize("query", ["days=0", "days=93", "at=now", "day=1"])
def test_wrong(asking: FlaskClient, query: str) -> None:
    """A wrong parameter is refused by name."""
    answer = asking.get(f"{ON_CALL}?{query}")
    assert (answer.status_code, query.partition("=")[0] in answer.text) == (400, True)
