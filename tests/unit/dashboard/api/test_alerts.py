"""The alert list, one alert, and acknowledging."""

import csv
import io
import json
from datetime import timedelta
from typing import cast

import pytest
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from shared.runtime.redis.alert_stream import AlertStreamPublisher
from shared.runtime.redis.record_log import StreamEntry
from shared.schema import redis_keys
from shared.schema.faults import MAX_MESSAGE
from shared.schema.records import Performance
from shared.store import alert_changes
from shared.store.alerts import alert_by_id
from shared.store.database import Database
from shared.store.records import insert_records
from tests.unit.dashboard.sample_data import (
    NOON,
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
    """Store a critical alert of a bot and a low one of a host, both open, and a resolved one."""
    first, second = make_alert(1, "CRITICAL", "alpha", minutes=3), make_alert(2, "LOW", "beta", minutes=2)
    first.details.labels = {"venue": "x"}
    second.details.rule, second.details.bot, second.details.host = "disk", None, "beta"
    second.category = "RESOURCE"
    store_open_alert(health, first)
    store_open_alert(health, second)
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
        ("?severity=low,HIGH", [3, 2]),
        ("?status=ACTIVE,ACKNOWLEDGED&limit=1", [2]),
        ("?category=RESOURCE", [2]),
        ("?component=alpha,beta", [3, 2, 1]),
        ("?bot=alpha", [3, 1]),
        ("?host=beta", [2]),
        ("?host=alpha", []),
        ("?rule=disk", [2]),
        ("?rule=drawdown,disk", [3, 2, 1]),
        ("?label=venue=x", [1]),
        ("?label=venue=x,symbol=q", []),
        ("?label=venue=X", []),
        ("?text=ABOVE+20", [3, 2, 1]),
        ("?text=above+beta", [2]),
        ("?text=disk", [2]),
        ("?text=20%25", [3, 2, 1]),
        ("?text=%25", [3, 2, 1]),
        ("?text=a_pha", []),
        ("?text=alert-2", [2]),
        ("?from=2026-01-31T11:58:00Z", [3, 2]),
        ("?to=2026-01-31T11:58:00Z", [1]),
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
        ("severity=LOW,worse", "severity", "expected one of CRITICAL, HIGH, MEDIUM, LOW, got 'worse'"),
        ("label=venue", "label", "expected name=value, got 'venue'"),
        ("text=1+2+3+4+5+6+7+8+9", "text", "expected at most 8 words, got 9"),
        (f"text={'x' * 257}", "text", "expected at most 256 characters, got 257"),
        ("cursor=x", "cursor", "expected the cursor of a `Link` header, got 'x'"),
        ("format=xml", "format", "expected one of json, csv, got 'xml'"),
    ],
)
def test_a_wrong_filter_is_refused_with_what_is_allowed(
    client: FlaskClient, query: str, path: str, message: str
) -> None:
    answer = client.get(f"{ALERTS}?{query}")
    assert answer.status_code == 400
    assert body(answer)["faults"] == [{"path": path, "message": message}]


def test_pages_of_alerts_have_each_alert_once(client: FlaskClient, health: Database) -> None:
    """Also those that opened in the same millisecond, and with the filters of the first page."""
    for number in range(7):
        store_open_alert(health, make_alert(number, "LOW" if number == 5 else "HIGH", minutes=number // 4))
    found, path = [], f"{ALERTS}?severity=HIGH&limit=2"
    while path:
        answer = client.get(path)
        found += [alert["id"] for alert in body(answer)]
        path = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert found == [f"alert-{number}" for number in (3, 2, 1, 0, 6, 4)]


def test_all_alerts_are_exported_as_csv(client: FlaskClient, health: Database) -> None:
    alert = make_alert(1)
    alert.message = "=cmd|' /C calc'!A0"
    store_open_alert(health, alert)
    store_resolved(health, store_open_alert(health, make_alert(2, component="a,b", minutes=9)))
    answer = client.get(f"{ALERTS}?format=csv&limit=1")
    assert answer.headers["Content-Disposition"] == "attachment; filename=alerts.csv"
    first, second = csv.DictReader(io.StringIO(answer.text))
    assert (first["message"], first["value"], first["timeToResolveSeconds"]) == (
        f"'{alert.message}",
        "21.0",
        "",
    )
    assert (second["component"], second["rule"], second["timeToResolveSeconds"]) == (
        "a,b",
        "drawdown",
        "540.0",
    )


def test_times_to_acknowledge_and_to_resolve(client: FlaskClient, three: Database) -> None:
    """To the first acknowledgement, whoever takes the alert later; null where there is none yet."""
    assert acknowledge(client, "alert-1", {"by": "ann"}).status_code == 200
    with three.write() as connection:
        later = NOON + timedelta(minutes=9)
        alert_changes.acknowledge(connection, "alert-1", "bob", None, later)
    names = ("timeToAcknowledgeSeconds", "timeToResolveSeconds")
    listed = {alert["id"]: [alert[name] for name in names] for alert in get_json(client, ALERTS)}
    assert listed == {"alert-1": [180, None], "alert-2": [None, None], "alert-3": [None, 60]}
    assert [get_json(client, f"{ALERTS}/alert-1")[name] for name in names] == [180, None]


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
        ({"by": 7}, {"$.by": "expected text, got 7"}),
        ({"by": "a", "coment": ""}, {"$.coment": "unknown key; did you mean `comment`?"}),
        ({"by": None, "x": 1}, {"$.by": "expected text, got null", "$.x": "unknown key"}),
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


def test_several_alerts_are_acknowledged_at_once(client: FlaskClient, three: Database, redis: Redis) -> None:
    """The answer says what became of each; the open ones are on timeline, stream and audit log."""
    AlertStreamPublisher(redis, three).publish()
    sent = {"ids": ["alert-2", "alert-3", "nothing", "alert-1", "alert-2"], "by": "ann", "timeout": "1h"}
    answer = client.post(f"{ALERTS}/acknowledge", json=sent)
    assert [(each["id"], each["outcome"]) for each in body(answer)] == [
        ("alert-2", "acknowledged"),
        ("alert-3", "resolved"),
        ("nothing", "notFound"),
        ("alert-1", "acknowledged"),
    ]
    taken = body(answer)[0]["alert"]
    assert (taken["assignee"], taken["acknowledgedUntil"]) == ("ann", "2026-01-31T13:00:00Z")
    assert get_json(client, f"{ALERTS}/alert-1")["timeline"][-1]["change"] == "acknowledged"
    assert get_json(client, f"{ALERTS}/alert-3")["assignee"] is None
    assert redis.xlen(redis_keys.ALERTS) == 2
    audited = get_json(client, "/api/monitoring/audit?action=alert.acknowledge")["entries"]
    assert sorted(entry["target"] for entry in audited) == ["alert-1", "alert-2"]


@pytest.mark.parametrize(
    ("ids", "path", "message"),
    [
        ([], "$.ids", "expected an array of length >= 1"),
        (["x"] * 501, "$.ids", "expected an array of length <= 500"),
        ([7], "$.ids[0]", "expected text, got a whole number"),
        (["x"], "$.by", "required, but blank"),
    ],
)
def test_wrong_acknowledgements_of_several_are_refused(
    client: FlaskClient, ids: list[object], path: str, message: str
) -> None:
    answer = client.post(f"{ALERTS}/acknowledge", json={"ids": ids, "by": "" if path == "$.by" else "ann"})
    assert answer.status_code == 400
    assert body(answer)["faults"] == [{"path": path, "message": message}]


def test_the_values_of_the_metric_around_an_alert(
    client: FlaskClient, performance: Database, health: Database
) -> None:
    """From half an hour before it opened on; its limit only where it is one for the values."""
    store_open_alert(health, make_alert(1, minutes=5))
    silent = make_alert(2, minutes=5)
    silent.details.measure = "Time since the last performance record"
    store_open_alert(health, silent)
    records = [
        Performance(
            bot="alpha",
            timestamp=NOON - timedelta(minutes=minutes),
            portfolio_value=1,
            max_drawdown=minutes,
        )
        for minutes in (36, 35, 10, 1)
    ]
    with performance.write() as connection:
        insert_records(connection, records)
    values = get_json(client, f"{ALERTS}/alert-1/values")
    assert (values["from"], values["to"], values["limit"]) == (
        "2026-01-31T11:25:00Z",
        "2026-01-31T12:00:00Z",
        20,
    )
    assert [point["value"] for point in values["points"]] == [35, 10, 1]
    assert get_json(client, f"{ALERTS}/alert-2/values")["limit"] is None
    assert client.get(f"{ALERTS}/nothing/values").status_code == 404


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
