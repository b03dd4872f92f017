"""Silences through the API, and acknowledging for a time."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import update
from werkzeug.test import TestResponse

from services.dashboard.app import create_dashboard_app
from services.dashboard.data_sources import DataSources
from shared.schema.timestamps import to_wire
from shared.store.database import Database
from shared.store.tables import silences
from tests.unit.dashboard.conftest import LINKS, SETTINGS
from tests.unit.dashboard.sample_data import NOON, body, get_json, make_alert, problem, store_open_alert

SILENCES = "/api/monitoring/silences"
BOT = {"name": "bot", "value": "alpha"}


@pytest.fixture
def at(redis: Redis, performance: Database, health: Database) -> Callable[[float], FlaskClient]:
    """Return a client of the dashboard so many hours after noon."""

    def client(hours: float) -> FlaskClient:
        moment = NOON + timedelta(hours=hours)
        return create_dashboard_app(
            SETTINGS, DataSources(redis, performance, health), LINKS, lambda: moment
        ).test_client()

    return client


def after(hours: float) -> str:
    return to_wire(NOON + timedelta(hours=hours)).replace(".000Z", "Z")


def post(client: FlaskClient, **further: object) -> TestResponse:
    fields = {"matchers": [BOT], "endsAt": after(1), "createdBy": "ann", "comment": "new strategy"}
    return client.post(SILENCES, json=fields | further)


def silence(client: FlaskClient, **further: object) -> dict[str, Any]:
    answer = post(client, **further)
    assert answer.status_code == 200, answer.text
    return dict(body(answer))


def test_a_silence_begins_now_and_is_listed_in_full(client: FlaskClient) -> None:
    made = silence(client)
    assert made == {
        "id": made["id"],
        "matchers": [BOT | {"isRegex": False, "isEqual": True}],
        "startsAt": after(0),
        "endsAt": after(1),
        "createdBy": "ann",
        "comment": "new strategy",
        "createdAt": after(0),
        "updatedAt": after(0),
        "endedBy": None,
        "status": {"state": "active"},
    }
    assert get_json(client, SILENCES) == [made]
    assert get_json(client, f"{SILENCES}/{made['id']}") == made


def test_silences_are_listed_by_state(client: FlaskClient, at: Callable[[float], FlaskClient]) -> None:
    over = silence(client)["id"]
    holds = silence(client, endsAt=after(3))["id"]
    to_come = silence(client, startsAt=after(4), endsAt=after(5))["id"]
    states = {
        state: [one["id"] for one in get_json(at(2), f"{SILENCES}?state={state}")]
        for state in ("active", "pending", "expired", "")
    }
    assert states == {"active": [holds], "pending": [to_come], "expired": [over], "": [to_come, holds, over]}


def test_silences_come_in_pages_and_as_csv(client: FlaskClient) -> None:
    made = [silence(client, endsAt=after(5 - number // 2))["id"] for number in range(4)]
    found, path = [], f"{SILENCES}?state=active,pending&limit=3"
    while path:
        answer = client.get(path)
        found += [one["id"] for one in body(answer)]
        path = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert sorted(found) == sorted(made)
    assert set(found[:2]) == set(made[:2])
    answer = client.get(f"{SILENCES}?format=csv&limit=1")
    assert answer.text.count('active,"bot=""alpha""",2026-01-31T12:00:00Z') == 4


@pytest.mark.parametrize(
    ("matcher", "found"),
    [
        ({"name": "bot", "value": "alpha"}, [1]),
        ({"name": "bot", "value": "alpha", "isEqual": False}, [2]),
        ({"name": "bot", "value": "al.*|b.*", "isRegex": True}, [2, 1]),
        ({"name": "severity", "value": "LOW|MEDIUM", "isRegex": True, "isEqual": False}, [2, 1]),
    ],
)
def test_a_preview_lists_the_open_alerts_that_match(
    client: FlaskClient, health: Database, matcher: dict[str, object], found: list[int]
) -> None:
    """Of the operators = != =~ !~; a silence that would match all alerts is refused."""
    store_open_alert(health, make_alert(1, component="alpha", minutes=9))
    store_open_alert(health, make_alert(2, component="beta"))
    matchers = [matcher, {"name": "metric", "value": "maxDrawdown"}]
    preview = body(client.post(f"{SILENCES}/preview", json={"matchers": matchers}))
    assert [alert["id"] for alert in preview["matches"]] == [f"alert-{number}" for number in found]
    assert preview["openAlerts"] == 2
    answer = client.post(
        f"{SILENCES}/preview", json={"matchers": [{"name": "bot", "value": "alpha|", "isRegex": True}]}
    )
    assert [fault["path"] for fault in body(answer)["faults"]] == ["$.matchers"]
    answer = client.post(
        f"{SILENCES}/preview", json={"matchers": [{"name": "bot", "value": "(", "isRegex": True}]}
    )
    assert [fault["path"] for fault in body(answer)["faults"]] == ["$.matchers[0].value"]


def test_a_silence_is_ended_not_deleted_and_says_by_whom(
    client: FlaskClient, at: Callable[[float], FlaskClient]
) -> None:
    made = silence(client)
    ended = body(at(0.5).delete(f"{SILENCES}/{made['id']}?by=bob"))
    assert (ended["endsAt"], ended["endedBy"], ended["status"]["state"]) == (after(0.5), "bob", "expired")
    assert body(at(2).delete(f"{SILENCES}/{made['id']}?by=eve")) == ended
    assert get_json(at(2), SILENCES) == [ended]


def test_a_silence_to_come_that_is_ended_never_begins(client: FlaskClient) -> None:
    made = silence(client, startsAt=after(2), endsAt=after(3))
    ended = body(client.delete(f"{SILENCES}/{made['id']}"))
    assert (ended["startsAt"], ended["endsAt"]) == (after(0), after(0))


def test_another_end_changes_a_silence_in_place(
    client: FlaskClient, at: Callable[[float], FlaskClient]
) -> None:
    made = silence(client)
    longer = silence(at(0.5), id=made["id"], endsAt=after(2), startsAt=made["startsAt"])
    assert longer == made | {"endsAt": after(2), "updatedAt": after(0.5)}


@pytest.mark.parametrize(
    "change", [{"matchers": [{"name": "bot", "value": "beta"}]}, {"comment": "no"}, {"createdBy": "bob"}]
)
def test_whatever_else_is_changed_ends_it_and_begins_a_new_one(
    client: FlaskClient, at: Callable[[float], FlaskClient], change: dict[str, object]
) -> None:
    made = silence(client)
    new = silence(at(0.5), id=made["id"], **change)
    old = get_json(at(0.5), f"{SILENCES}/{made['id']}")
    assert (old["status"]["state"], old["endsAt"], old["matchers"]) == (
        "expired",
        after(0.5),
        made["matchers"],
    )
    assert old["endedBy"] == new["createdBy"]
    assert (new["id"] != made["id"], new["startsAt"], new["status"]["state"]) == (True, after(0.5), "active")


def test_a_silence_that_is_over_is_begun_anew(
    client: FlaskClient, at: Callable[[float], FlaskClient]
) -> None:
    made = silence(client)
    new = silence(at(2), id=made["id"], endsAt=after(3))
    assert new["id"] != made["id"]
    assert get_json(at(2), f"{SILENCES}/{made['id']}")["endsAt"] == after(1)


@pytest.mark.parametrize("method", ["get", "delete"])
def test_an_unknown_silence_is_404_in_json(client: FlaskClient, method: str) -> None:
    answer = getattr(client, method)(f"{SILENCES}/nothing")
    assert answer.status_code == 404
    assert body(answer) == problem(404, "no silence with ID 'nothing'")


def test_an_unknown_silence_cannot_be_changed(client: FlaskClient) -> None:
    assert post(client, id="nothing").status_code == 404
    assert get_json(client, SILENCES) == []


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"matchers": []}, "$.matchers", "expected an array of length >= 1"),
        ({"matchers": [{"name": "bot", "value": "("}]}, None, ""),
        (
            {"matchers": [{"name": "b", "value": "(", "isRegex": True}]},
            "$.matchers[0].value",
            "not a regular",
        ),
        (
            {"matchers": [{"name": "b", "value": "x", "vale": "x"}]},
            "$.matchers[0].vale",
            "did you mean `value`?",
        ),
        (
            {"matchers": [{"name": "b", "value": ""}]},
            "$.matchers",
            "does not match an alert without the label",
        ),
        ({"endsAt": after(0)}, "$.endsAt", "expected a time after now"),
        ({"endsAt": "2026-01-31T13:00:00"}, "$.endsAt", "with a time zone"),
        ({"startsAt": after(2)}, "$.endsAt", "expected a time after `startsAt`"),
        ({"createdBy": " "}, "$.createdBy", "expected"),
        ({"comment": "x" * 4097}, "$.comment", "length <= 4096"),
        ({"until": after(1)}, "$.until", "unknown key"),
    ],
)
def test_a_wrong_silence_is_refused_with_its_fault(
    client: FlaskClient, change: dict[str, object], path: str | None, message: str
) -> None:
    answer = post(client, **change)
    faults = body(answer).get("faults", [])
    assert [fault["path"] for fault in faults] == ([path] if path else [])
    assert all(message in fault["message"] for fault in faults)
    assert answer.status_code == (400 if path else 200)


@pytest.mark.parametrize(
    ("query", "path"), [("state=over", "state"), ("limit=0", "limit"), ("stat=active", "stat")]
)
def test_a_wrong_filter_of_silences_is_refused(client: FlaskClient, query: str, path: str) -> None:
    answer = client.get(f"{SILENCES}?{query}")
    assert (answer.status_code, [fault["path"] for fault in body(answer)["faults"]]) == (400, [path])


def test_a_foreign_page_can_neither_silence_nor_end_a_silence(client: FlaskClient) -> None:
    made = silence(client)
    foreign = {"Origin": "https://evil.example"}
    assert client.post(SILENCES, json={}, headers=foreign).status_code == 403
    assert client.delete(f"{SILENCES}/{made['id']}", headers=foreign).status_code == 403


def acknowledge(client: FlaskClient, timeout: object) -> TestResponse:
    return client.post("/api/monitoring/alerts/alert-1/acknowledge", json={"by": "anna", "timeout": timeout})


@pytest.mark.parametrize(("timeout", "until"), [("1h", after(1)), (1800, after(0.5)), (None, None)])
def test_acknowledging_for_a_time_says_until_when(
    client: FlaskClient, health: Database, timeout: object, until: str | None
) -> None:
    store_open_alert(health, make_alert(1))
    assert body(acknowledge(client, timeout))["acknowledgedUntil"] == until
    assert get_json(client, "/api/monitoring/alerts/alert-1")["acknowledgedUntil"] == until


@pytest.mark.parametrize("timeout", [0, "0s", "366d", 1e308, "9" * 400 + "d", "soon", -1])
def test_a_timeout_that_cannot_be_meant_is_refused(
    client: FlaskClient, health: Database, timeout: object
) -> None:
    store_open_alert(health, make_alert(1))
    answer = acknowledge(client, timeout)
    assert (answer.status_code, body(answer)["faults"][0]["path"]) == (400, "$.timeout")


def test_one_acknowledgement_for_good_takes_the_place_of_one_for_a_time(
    client: FlaskClient, health: Database
) -> None:
    store_open_alert(health, make_alert(1))
    acknowledge(client, "1h")
    assert body(acknowledge(client, None))["acknowledgedUntil"] is None


def test_a_stored_pattern_that_re2_refuses(client: FlaskClient, health: Database) -> None:
    """A silence with a pattern that RE2 refuses: listed with the reason when old, refused when new."""
    made = silence(client)["id"]
    broken = BOT | {"value": "a(?=b).*", "isRegex": True, "isEqual": True}
    with health.write() as connection:
        connection.execute(update(silences).values(matchers=json.dumps([broken])))
    (listed,) = get_json(client, SILENCES)
    assert (listed["id"], listed["status"]["state"]) == (made, "active")
    assert "RE2" in listed["status"]["error"]
    answer = post(client, matchers=[broken])
    assert (answer.status_code, body(answer)["faults"][0]["path"]) == (400, "$.matchers[0].value")
