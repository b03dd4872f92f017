"""Silences of Alertmanager's API are those of Botwatch's page."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.unit.dashboard.sample_data import body, get_json

API = "/alertmanager/api/v2"
PAGE = "/api/monitoring/silences"
MATCHER = {"name": "bot", "value": "al.*", "isRegex": True}


def post(client: FlaskClient, expected: int = 200, **fields: Any) -> Any:
    whole = {
        "matchers": [MATCHER], "startsAt": "2026-01-31T12:00:00Z", "endsAt": "2026-01-31T13:00:00Z",
        "createdBy": "ann", "comment": "why",
    }  # fmt: skip
    answer = client.post(f"{API}/silences", json=whole | fields)
    assert answer.status_code == expected
    return body(answer)


def test_one_made_here_is_on_the_page_and_the_other_way_round(client: FlaskClient) -> None:
    made = post(client)["silenceID"]
    (shown,) = get_json(client, PAGE)
    assert (shown["id"], shown["createdBy"], shown["status"]) == (made, "ann", {"state": "active"})
    fields = {"matchers": [{"name": "a", "value": "1", "isEqual": False}, MATCHER], "createdBy": "bob"}
    page = body(client.post(PAGE, json=fields | {"endsAt": "2026-01-31T12:30:00Z"}))
    first, second = get_json(client, f"{API}/silences")
    assert (first["id"], second["id"]) == (page["id"], made)
    assert second == {
        "id": made,
        "status": {"state": "active"},
        "updatedAt": "2026-01-31T12:00:00.000Z",
        "comment": "why",
        "createdBy": "ann",
        "startsAt": "2026-01-31T12:00:00.000Z",
        "endsAt": "2026-01-31T13:00:00.000Z",
        "matchers": [MATCHER | {"isEqual": True}],
    }
    assert get_json(client, f"{API}/silence/{made}") == second


def test_changing_the_matchers_makes_another(client: FlaskClient) -> None:
    made = post(client)["silenceID"]
    assert post(client, id=made, endsAt="2026-01-31T14:00:00Z")["silenceID"] == made
    assert post(client, id=made, comment="other", createdBy="bob")["silenceID"] == made
    assert get_json(client, f"{API}/silence/{made}")["comment"] == "other"
    other = post(client, id=made, matchers=[MATCHER | {"value": "be.*"}])["silenceID"]
    assert other != made
    found = get_json(client, f"{API}/silences")
    assert [(one["id"], one["status"]["state"]) for one in found] == [(other, "active"), (made, "expired")]


def test_ending_one_keeps_it_and_may_be_repeated(client: FlaskClient) -> None:
    made = post(client)["silenceID"]
    for _ in range(2):
        answer = client.delete(f"{API}/silence/{made}")
        assert (answer.status_code, answer.data) == (200, b"")
    assert get_json(client, f"{API}/silence/{made}")["status"] == {"state": "expired"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"endsAt": "2026-01-31T12:00:00Z"}, "Failed to create silence: start time must be before end time"),
        (
            {"startsAt": "2026-01-31T10:00:00Z", "endsAt": "2026-01-31T11:00:00Z"},
            "Failed to create silence: end time can't be in the past",
        ),
        (
            {"matchers": [MATCHER | {"value": ".*"}]},
            "silence invalid: at least one matcher must not match the empty string",
        ),
        ({"matchers": []}, "Expected `array` of length >= 1 - at `$.matchers`"),
        ({"endsAt": "2026-01-31T13:00:00"}, "expected a time with its zone, such as 2026-01-31T12:00:00Z"),
    ],
)
def test_what_is_wrong_is_said_as_a_json_string(client: FlaskClient, fields: Any, said: str) -> None:
    assert post(client, 400, **fields) == said


def test_unknown_ones_are_not_found(client: FlaskClient) -> None:
    assert post(client, 404, id="nope") == "silence nope not found"
    for answer in (client.get(f"{API}/silence/nope"), client.delete(f"{API}/silence/nope")):
        assert (answer.status_code, body(answer)) == (404, "silence nope not found")


def test_fields_that_are_unknown_here_are_ignored(client: FlaskClient) -> None:
    """Grafana and `amtool silence import` send back what they have read."""
    made = get_json(client, f"{API}/silence/{post(client)['silenceID']}")
    assert post(client, **made | {"id": "", "annotations": {}})["silenceID"] != made["id"]


def test_filters_compare_patterns(client: FlaskClient) -> None:
    post(client)
    assert len(get_json(client, f"{API}/silences?filter=bot=al.*")) == 1
    assert get_json(client, f"{API}/silences?filter=bot=alpha") == []
    assert len(get_json(client, f"{API}/silences?filter=team=")) == 1
