"""Whatever is sent to Alertmanager's API gets an answer of its kind, and never a 500."""

import json

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

API = "/alertmanager/api/v2"
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
TIMES = st.sampled_from(
    ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "2026-01-31T12:00:00", "2026-01-31T13:00:00Z", ""]
)
LABELS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3) | SCALARS
ALERTS = st.fixed_dictionaries(
    {},
    optional={
        "labels": LABELS, "annotations": LABELS, "startsAt": TIMES | SCALARS, "endsAt": TIMES | SCALARS,
        "generatorURL": SCALARS,
    },
)  # fmt: skip
MATCHERS = st.fixed_dictionaries(
    {"name": st.text(max_size=5) | SCALARS, "value": st.text(max_size=5) | SCALARS},
    optional={"isRegex": SCALARS, "isEqual": SCALARS},
)
SILENCES = st.fixed_dictionaries(
    {"matchers": st.lists(MATCHERS, max_size=3) | SCALARS, "endsAt": TIMES | SCALARS},
    optional={"startsAt": TIMES | SCALARS, "createdBy": SCALARS, "comment": SCALARS, "id": SCALARS},
)
fuzzed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@fuzzed
@given(st.lists(ALERTS | SCALARS, max_size=3) | SCALARS)
def test_posted_alerts(client: FlaskClient, sent: object) -> None:
    answer = client.post(f"{API}/alerts", data=json.dumps(sent))
    assert answer.status_code in (200, 400)
    assert client.get(f"{API}/alerts/groups").status_code == 200


@fuzzed
@given(SILENCES | SCALARS)
def test_posted_silences(client: FlaskClient, sent: object) -> None:
    answer = client.post(f"{API}/silences", data=json.dumps(sent))
    assert answer.status_code in (200, 400, 404)
    assert client.get(f"{API}/silences").status_code == 200


@pytest.mark.parametrize("name", ["filter", "receiver", "active"])
@fuzzed
@given(text=st.text(max_size=20) | st.from_regex(r'\s*[a-z]+(=|!=|=~|!~)["\\a-z(\[*]{0,8}', fullmatch=True))
def test_parameters(client: FlaskClient, name: str, text: str) -> None:
    for path in ("alerts", "alerts/groups", "silences"):
        answer = client.get(f"{API}/{path}", query_string={name: text})
        assert answer.status_code in (200, 400)
        assert answer.is_json
