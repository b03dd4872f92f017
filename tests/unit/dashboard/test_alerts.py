"""The alert list, one alert, and acknowledging."""

import json
from typing import cast

import pytest
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from shared.runtime.redis.alert_stream import AlertStreamPublisher
from shared.runtime.redis.record_log import StreamEntry
from shared.schema import redis_keys
from shared.schema.faults import MAX_MESSAGE
from shared.store.alerts import alert_by_id
from shared.store.database import Database
from tests.unit.dashboard.sample_data import (
    body,
    get_json,
    make_alert,
    problem,
    store_open_alert,
    store_resolved,
)

ALERTS = "/api/monitoring/alerts"


def acknowledge(client: FlaskClient, alert: str, body: object, **headers: str) -> TestResponse:
    return client.post(f"{ALERTS}/{alert}/acknowledge", json=body, headers=headers)


@pytest.fixture
def three(health: Database) -> Database:
    """Store a critical and a low open alert, and a resolved one."""
    store_open_alert(health, make_alert(1, "CRITICAL", "alpha", minutes=3))
    store_open_alert(health, make_alert(2, "LOW", "beta", minutes=2))
    store_resolved(health, store_open_alert(health, make_alert(3, "HIGH", "alpha", minutes=1)))
    return health


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [3, 2, 1]),
        ("?limit=2", [3, 2]),
        ("?status=ACTIVE", [2, 1]),
        ("?status=resolved", [3]),
        ("?severity=CRITICAL", [1]),
        ("?component=alpha", [3, 1]),
        ("?component=alpha&status=ACTIVE", [1]),
        ("?severity=MEDIUM", []),
        ("?status=&severity=", [3, 2, 1]),
    ],
)
def test_alerts_are_listed_newest_first_and_filtered(
    client: FlaskClient, query: str, expected: list[int]
) -> None:
    assert [alert["id"] for alert in get_json(client, ALERTS + query)] == [f"alert-{n}" for n in expected]


@pytest.mark.parametrize(
    ("query", "path", "message"),
    [
        ("status=OPEN", "status", "expected one of ACTIVE, ACKNOWLEDGED, RESOLVED, got 'OPEN'"),
        ("severity=bad", "severity", "expected one of CRITICAL, HIGH, MEDIUM, LOW, got 'bad'"),
        ("limit=0", "limit", "expected a whole number from 1 to 1000, got '0'"),
        ("limit=1e3", "limit", "expected a whole number from 1 to 1000, got '1e3'"),
        ("limit=²", "limit", "expected a whole number from 1 to 1000, got '²'"),
        (
            f"limit={'9' * 5000}",
            "limit",
            f"expected a whole number from 1 to 1000, got '{'9' * MAX_MESSAGE}"[: MAX_MESSAGE - 1] + "…",
        ),
        ("limit=0000000001000000", "limit", "expected a whole number from 1 to 1000, got '0000000001000000'"),
        (
            "limit=0000000000000000012000",
            "limit",
            "expected a whole number from 1 to 1000, got '0000000000000000012000'",
        ),
        ("stats=ACTIVE", "stats", "unknown parameter; did you mean `status`?"),
    ],
)
def test_a_wrong_filter_is_refused_with_what_is_allowed(
    client: FlaskClient, query: str, path: str, message: str
) -> None:
    answer = client.get(f"{ALERTS}?{query}")
    assert answer.status_code == 400
    assert body(answer)["faults"] == [{"path": path, "message": message}]


def test_every_wrong_filter_is_named(client: FlaskClient) -> None:
    answer = client.get(f"{ALERTS}?status=a&severity=b&limit=c&d=e")
    assert {fault["path"] for fault in body(answer)["faults"]} == {"status", "severity", "limit", "d"}


def test_one_alert_comes_with_its_timeline_and_notifications(client: FlaskClient, three: Database) -> None:
    assert three
    alert = get_json(client, f"{ALERTS}/alert-3")
    assert (alert["severity"], alert["assignee"]) == ("HIGH", None)
    assert [event["change"] for event in alert["timeline"]] == ["opened", "resolved"]
    assert alert["timeline"][0].items() >= {"message": alert["message"], "severity": "HIGH"}.items()
    assert alert["timeline"][0]["valueText"] == alert["details"]["valueText"]
    (notice,) = alert["notifications"]
    assert (notice["channel"], notice["change"], notice["state"]) == ("webhook", "opened", "PENDING")
    assert (notice["reason"], notice["heldUntil"], notice["batch"]) == ("default", None, None)


@pytest.mark.parametrize("method", ["get", "post"])
def test_an_unknown_alert_is_404_in_json(client: FlaskClient, method: str) -> None:
    if method == "get":
        answer = client.get(f"{ALERTS}/nothing")
    else:
        answer = acknowledge(client, "nothing", {"by": "anna"})
    assert answer.status_code == 404
    assert body(answer) == problem(404, "no alert with ID 'nothing'")


def test_acknowledging_names_the_assignee_and_is_kept(client: FlaskClient, three: Database) -> None:
    answer = acknowledge(client, "alert-1", {"by": " admin@company.com ", "comment": "on it"})
    assert answer.status_code == 200
    assert body(answer)["status"] == "ACKNOWLEDGED"
    assert (body(answer)["assignee"], body(answer)["comment"]) == ("admin@company.com", "on it")
    assert body(answer)["acknowledgedAt"] == "2026-01-31T12:00:00Z"
    with three.read() as connection:
        stored = alert_by_id(connection, "alert-1")
    assert stored
    assert stored.assignee == "admin@company.com"
    event = get_json(client, f"{ALERTS}/alert-1")["timeline"][-1]
    assert (event["change"], event["by"], event["comment"]) == ("acknowledged", "admin@company.com", "on it")


def test_an_acknowledgement_is_announced(client: FlaskClient, three: Database, redis: Redis) -> None:
    AlertStreamPublisher(redis, three).publish()
    acknowledge(client, "alert-1", {"by": "anna"})
    ((_, fields),) = cast("list[StreamEntry]", redis.xrange(redis_keys.ALERTS))
    message = json.loads(fields[redis_keys.FIELD])
    assert (message["change"], message["alert"]["assignee"]) == ("acknowledged", "anna")


def test_without_redis_an_acknowledgement_succeeds_and_is_announced_later(
    client_without_redis: FlaskClient, three: Database, redis: Redis
) -> None:
    announcer = AlertStreamPublisher(redis, three)
    announcer.publish()
    assert acknowledge(client_without_redis, "alert-1", {"by": "anna"}).status_code == 200
    assert announcer.publish() == 1


@pytest.mark.usefixtures("three")
def test_a_resolved_alert_cannot_be_acknowledged(client: FlaskClient) -> None:
    answer = acknowledge(client, "alert-3", {"by": "anna"})
    assert answer.status_code == 409
    assert body(answer)["alert"]["assignee"] is None


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("sent", "faults"),
    [
        ({}, {"$.by": "required, but missing"}),
        ({"by": " \t"}, {"$.by": "required, but blank"}),
        ({"by": 7}, {"$.by": "expected `str`, got `int`"}),
        ({"by": "a", "coment": ""}, {"$.coment": "unknown key; did you mean `comment`?"}),
        ({"by": None, "x": 1}, {"$.by": "expected `str`, got `null`", "$.x": "unknown key"}),
        ({"by": "a" * 257}, {"$.by": "expected at most 256 characters, got 257"}),
        ({"by": "a", "comment": "b" * 4097}, {"$.comment": "expected at most 4096 characters, got 4097"}),
        ([], {"$": "expected an object, got array"}),
    ],
)
def test_a_wrong_acknowledgement_is_refused_with_every_fault(
    client: FlaskClient, sent: object, faults: dict[str, str]
) -> None:
    answer = acknowledge(client, "alert-1", sent)
    assert answer.status_code == 400
    assert {fault["path"]: fault["message"] for fault in body(answer)["faults"]} == faults
    assert get_json(client, f"{ALERTS}/alert-1")["status"] == "ACTIVE"


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("sent", [b"", b"by=anna", b'{"by": "\xff"}'])
def test_what_is_not_json_is_refused(client: FlaskClient, sent: bytes) -> None:
    answer = client.post(f"{ALERTS}/alert-1/acknowledge", data=sent)
    assert answer.status_code == 400
    assert body(answer)["faults"][0]["path"] == "$"


@pytest.mark.usefixtures("three")
def test_a_body_without_end_of_nesting_is_refused_in_words(client: FlaskClient) -> None:
    for path in (f"{ALERTS}/alert-1/acknowledge", "/api/monitoring/silences"):
        answer = client.post(path, data=b"[" * 50_000)
        assert answer.status_code == 400
        assert body(answer)["faults"][0]["message"].endswith("nested too deeply")


@pytest.mark.usefixtures("three")
def test_a_byte_order_mark_before_json_is_taken(client: FlaskClient) -> None:
    sent = b"\xef\xbb\xbf" + json.dumps({"by": "anna"}).encode()
    assert client.post(f"{ALERTS}/alert-1/acknowledge", data=sent).status_code == 200


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost", 200),
        ("https://botwatch.example", 200),
        ("https://evil.example", 403),
        ("http://[broken", 403),
        ("http://evil.example//localhost", 403),
        ("null", 403),
    ],
)
def test_only_the_dashboards_own_page_may_make_a_browser_acknowledge(
    client: FlaskClient, origin: str, status: int
) -> None:
    assert acknowledge(client, "alert-1", {"by": "anna"}, Origin=origin).status_code == status


@pytest.mark.usefixtures("three")
def test_a_name_that_was_pointed_at_this_machine_shows_nothing(client: FlaskClient) -> None:
    headers = {"Host": "evil.example", "Origin": "http://evil.example"}
    assert [client.get(path, headers=headers).status_code for path in ("/", ALERTS)] == [421, 421]
    sent = {**headers, "Sec-Fetch-Site": "same-origin"}
    assert client.post(f"{ALERTS}/alert-1/acknowledge", json={"by": "x"}, headers=sent).status_code == 421


def test_a_body_too_large_is_refused(client: FlaskClient) -> None:
    assert acknowledge(client, "alert-1", {"by": "a" * 70_000}).status_code == 413
