"""The page behind an acknowledge link: looking changes nothing, its button does, with a good link only."""

from collections.abc import Callable
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from services.dashboard.app import create_dashboard_app
from services.dashboard.data_sources import DataSources
from shared.runtime.redis.alert_stream import AlertStreamPublisher
from shared.runtime.signed_links import SignedLinks
from shared.schema.alerts import Alert
from shared.store.alerts import alert_by_id, timeline, update_alert
from shared.store.database import Database
from tests.unit.dashboard.conftest import LINKS, SETTINGS
from tests.unit.dashboard.sample_data import NOON, make_alert, store_open_alert, store_resolved

HOSTILE = """<script>alert(1)</script>" onfocus="alert(2)' </textarea><img src=x onerror=alert(3)>"""
At = Callable[[timedelta], FlaskClient]


class AcknowledgePage(HTMLParser):
    """What a browser would make of an answer: its elements, its text, and what its form would send."""

    def __init__(self, answer: TestResponse) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(answer.text)
        self.text = " ".join(self.text.split())
        self.fields = {
            str(attributes["name"]): attributes.get("value") or ""
            for tag, attributes in self.tags
            if tag in ("input", "textarea", "select")
        }

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember an element."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Remember a text."""
        self.text += data


def link(alert: Alert, to: str = "anna") -> str:
    return LINKS.acknowledge_url(alert, to, NOON).removeprefix(SETTINGS.dashboard_url)


def press(client: FlaskClient, address: str, seen: AcknowledgePage, /, **changed: str) -> TestResponse:
    """Fill in the form of a page and press its button."""
    return client.post(address, data=seen.fields | changed)


def stored(health: Database, alert: Alert) -> Alert:
    with health.read() as connection:
        found = alert_by_id(connection, alert.id)
    assert found
    return found


def happened(health: Database, alert: Alert) -> list[Any]:
    with health.read() as connection:
        return [(event["change"], event["by"]) for event in timeline(connection, alert.id)]


@pytest.fixture
def alert(health: Database) -> Alert:
    """Store an open alert."""
    return store_open_alert(health, make_alert(1, minutes=125))


@pytest.fixture
def at(redis: Redis, performance: Database, health: Database) -> At:
    """Return a client of the dashboard as it is some time after noon."""

    def client(later: timedelta) -> FlaskClient:
        sources = DataSources(redis, performance, health)
        return create_dashboard_app(SETTINGS, sources, LINKS, lambda: NOON + later).test_client()

    return client


def test_the_page_says_what_is_wrong_and_asks_who_looks_after_it(client: FlaskClient, alert: Alert) -> None:
    answer = client.get(link(alert, "anna@desk.example"))
    page = AcknowledgePage(answer)
    assert answer.status_code == 200
    for words in (
        "HIGH",
        "drawdown above 20%",
        "alpha",
        "21.0% (alert > 20%)",
        "31 Jan 09:55 UTC (2 h 5 min)",
        "Not acknowledged",
    ):
        assert words in page.text
    assert page.fields == {"by": "anna@desk.example", "comment": "", "timeout": "", "seen": ""}
    assert ("form", {"method": "post"}) in page.tags
    assert not [tag for tag, _ in page.tags if tag == "script"]


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {}),
        ("HEAD", {}),
        ("OPTIONS", {}),
        ("GET", {"Sec-Purpose": "prefetch;prerender"}),
        ("GET", {"User-Agent": "Slackbot-LinkExpanding 1.0"}),
    ],
)
def test_looking_at_a_link_changes_nothing(
    client: FlaskClient, health: Database, alert: Alert, method: str, headers: dict[str, str]
) -> None:
    answer = client.open(f"{link(alert)}?by=anna&comment=x", method=method, headers=headers)
    assert answer.status_code == 200
    assert stored(health, alert) == alert
    assert happened(health, alert) == [("opened", None)]


@pytest.mark.parametrize("method", ["get", "post"])
def test_neither_caches_nor_search_engines_nor_other_sites_learn_of_a_link(
    client: FlaskClient, alert: Alert, method: str
) -> None:
    for address in (link(alert), "/acknowledge/forged"):
        headers = getattr(client, method)(address, data={"by": "anna"}).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Robots-Tag"] == "noindex"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'self'" in headers["Content-Security-Policy"]
        assert "form-action 'self'; frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_button_acknowledges_for_a_time_and_names_the_assignee(
    client: FlaskClient, health: Database, redis: Redis, alert: Alert
) -> None:
    announcer = AlertStreamPublisher(redis, health)
    announcer.publish()
    page = AcknowledgePage(client.get(link(alert)))
    answer = press(client, link(alert), page, by=" ben ", comment="on it", timeout="4h")
    assert answer.status_code == 200
    said = "Acknowledged Acknowledged by ben on 31 Jan 12:00 UTC until 31 Jan 16:00 UTC: “on it”"
    assert said in AcknowledgePage(answer).text
    assert "button" not in [tag for tag, _ in AcknowledgePage(answer).tags]
    known = stored(health, alert)
    assert (known.status, known.assignee, known.comment) == ("ACKNOWLEDGED", "ben", "on it")
    assert known.acknowledged_until == NOON + timedelta(hours=4)
    assert happened(health, alert) == [("opened", None), ("acknowledged", "ben")]
    assert announcer.publish() == 0, "the dashboard has announced it"


def test_without_redis_the_button_acknowledges_all_the_same(
    client_without_redis: FlaskClient, health: Database, redis: Redis, alert: Alert
) -> None:
    announcer = AlertStreamPublisher(redis, health)
    announcer.publish()
    page = AcknowledgePage(client_without_redis.get(link(alert)))
    assert press(client_without_redis, link(alert), page).status_code == 200
    assert stored(health, alert).assignee == "anna"
    assert announcer.publish() == 1


def test_a_form_that_is_sent_twice_counts_once(at: At, health: Database, alert: Alert) -> None:
    page = AcknowledgePage(at(timedelta(0)).get(link(alert)))
    for seconds in (1, 2):
        answer = press(at(timedelta(seconds=seconds)), link(alert), page)
        assert (answer.status_code, "Acknowledged by anna" in answer.text) == (200, True)
    assert happened(health, alert) == [("opened", None), ("acknowledged", "anna")]


def test_who_comes_second_is_told_who_has_it_and_may_take_it_over(
    at: At, health: Database, alert: Alert
) -> None:
    both = AcknowledgePage(at(timedelta(0)).get(link(alert)))
    press(at(timedelta(seconds=1)), link(alert), both, by="anna", comment="mine")
    second = press(at(timedelta(seconds=2)), link(alert), both, by="ben", comment="no, mine")
    page = AcknowledgePage(second)
    assert second.status_code == 409
    assert "Already acknowledged by someone else Acknowledged by anna on 31 Jan 12:00 UTC" in page.text
    assert stored(health, alert).assignee == "anna"
    assert (page.fields["by"], page.text.count("no, mine")) == ("ben", 1), "what was written stays"
    assert press(at(timedelta(seconds=3)), link(alert), page).status_code == 200
    assert stored(health, alert).assignee == "ben"
    assert [by for _, by in happened(health, alert)] == [None, "anna", "ben"]


def test_whoever_has_it_may_say_anew_for_how_long(at: At, health: Database, alert: Alert) -> None:
    first = AcknowledgePage(at(timedelta(0)).get(link(alert)))
    press(at(timedelta(seconds=1)), link(alert), first, timeout="1h")
    again = AcknowledgePage(at(timedelta(minutes=50)).get(link(alert)))
    assert "Already acknowledged Acknowledged by anna on 31 Jan 12:00 UTC" in again.text
    assert "Take over" in again.text
    press(at(timedelta(minutes=51)), link(alert), again, timeout="4h")
    assert stored(health, alert).acknowledged_until == NOON + timedelta(minutes=51, hours=4)


def test_a_resolved_alert_needs_nothing(client: FlaskClient, health: Database, alert: Alert) -> None:
    page = AcknowledgePage(client.get(link(alert)))
    store_resolved(health, alert)
    for answer in (client.get(link(alert)), press(client, link(alert), page)):
        assert answer.status_code == 200
        assert "Resolved on 31 Jan 12:00 UTC. No action needed." in AcknowledgePage(answer).text
        assert "form" not in [tag for tag, _ in AcknowledgePage(answer).tags]
    assert happened(health, alert)[-1] == ("resolved", None)


def test_an_old_link_is_not_for_the_alert_as_it_opened_again(
    client: FlaskClient, health: Database, alert: Alert
) -> None:
    old = link(alert)
    page = AcknowledgePage(client.get(old))
    alert.details.flaps += 1
    with health.write() as connection:
        update_alert(connection, alert)
    for answer in (client.get(old), press(client, old, page)):
        assert answer.status_code == 410
        assert "This link is out of date" in answer.text
    assert stored(health, alert).status == "ACTIVE"
    assert press(client, link(alert), page).status_code == 200


def test_a_link_acknowledges_no_other_alert(client: FlaskClient, health: Database, alert: Alert) -> None:
    other = store_open_alert(health, make_alert(2))
    press(client, link(alert), AcknowledgePage(client.get(link(other))), alert_id=other.id, alert=other.id)
    assert (stored(health, alert).status, stored(health, other).status) == ("ACKNOWLEDGED", "ACTIVE")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_link_is_good_for_a_day_and_then_says_so(
    at: At, health: Database, alert: Alert, method: str
) -> None:
    late = at(timedelta(hours=24)).open(link(alert), method=method, data={"by": "anna"})
    assert late.status_code == 410
    assert stored(health, alert).status == "ACTIVE"
    if method != "HEAD":
        assert "This link has expired" in late.text
        assert ("a", {"href": "/"}) in AcknowledgePage(late).tags
        assert alert.message not in late.text
    early = at(timedelta(hours=24, milliseconds=-1)).open(link(alert), method=method, data={"by": "anna"})
    assert early.status_code == 200


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_forged_link_shows_and_changes_nothing(
    client: FlaskClient, health: Database, alert: Alert, method: str
) -> None:
    forged = SignedLinks(b"a secret of somebody else", "").acknowledge_url(alert, "anna", NOON)
    for address in (forged, link(alert)[:-1], "/acknowledge/☂", "/acknowledge/%ff%00"):
        answer = getattr(client, method)(address, data={"by": "anna"})
        assert answer.status_code == 403
        assert "This link is not valid" in answer.text
        assert ("a", {"href": "/"}) in AcknowledgePage(answer).tags
        assert alert.message not in answer.text
    assert stored(health, alert).status == "ACTIVE"


@pytest.mark.parametrize("method", ["get", "post"])
def test_an_alert_that_was_removed_is_404(client: FlaskClient, method: str) -> None:
    answer = getattr(client, method)(link(make_alert(7)), data={"by": "anna"})
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert "Alert not found" in answer.text


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"by": " "}, "Your name: required, but blank"),
        ({"by": "a" * 257}, "Your name: expected at most 256 characters, got 257"),
        ({"comment": "b" * 4097}, "Comment: expected at most 4096 characters, got 4097"),
        ({"timeout": "0s"}, "Duration: expected more than 0"),
        ({"timeout": "soon"}, "Duration: expected"),
    ],
)
def test_a_wrong_form_is_asked_again_with_what_was_written(
    client: FlaskClient, health: Database, alert: Alert, changed: dict[str, str], fault: str
) -> None:
    written = {"by": "anna", "comment": "as I said", "timeout": "4h"} | changed
    answer = press(client, link(alert), AcknowledgePage(client.get(link(alert))), **written)
    page = AcknowledgePage(answer)
    assert answer.status_code == 400
    assert fault in page.text
    assert page.fields["by"] == written["by"]
    assert written["comment"] in page.text
    assert stored(health, alert) == alert


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost", 200),
        ("https://botwatch.example", 200),
        ("null", 200),  # the page sends no referrer, and so browsers name no origin
        (None, 200),
        ("https://evil.example", 403),
        ("http://[broken", 403),
    ],
)
def test_a_page_of_another_site_cannot_press_the_button(
    client: FlaskClient, health: Database, alert: Alert, origin: str | None, status: int
) -> None:
    headers = {"Origin": origin} if origin else {}
    assert client.post(link(alert), data={"by": "anna"}, headers=headers).status_code == status
    assert stored(health, alert).status == ("ACKNOWLEDGED" if status == 200 else "ACTIVE")


def test_what_bots_and_people_wrote_is_text_and_never_markup(client: FlaskClient, health: Database) -> None:
    alert = make_alert(1, component=HOSTILE)
    alert.message, alert.details.metric, alert.details.operator = HOSTILE, HOSTILE, "<"
    store_open_alert(health, alert)
    page = AcknowledgePage(client.get(link(alert, HOSTILE)))
    for answer in (
        client.get(link(alert, HOSTILE)),
        press(client, link(alert), page, by=" ", comment=HOSTILE),
        press(client, link(alert), page, by=HOSTILE, comment=HOSTILE),
        client.get(link(alert)),
        press(client, link(alert), page, by="ben", comment=HOSTILE),
    ):
        seen = AcknowledgePage(answer)
        assert {tag for tag, _ in seen.tags} <= {
            "html", "head", "meta", "title", "link", "body", "main", "p", "svg", "rect", "path", "section",
            "span", "h1", "h2", "dl", "dt", "dd", "form", "label", "input", "textarea", "select", "option",
            "button", "a",
        }  # fmt: skip
        assert not [name for _, attributes in seen.tags for name in attributes if name.startswith("on")]
    assert stored(health, alert).assignee == HOSTILE


def test_a_long_span_is_written_in_days(at: At, alert: Alert) -> None:
    assert alert.timestamp == datetime(2026, 1, 31, 9, 55, tzinfo=NOON.tzinfo)
    later = AcknowledgePage(at(timedelta(hours=23)).get(link(alert)))
    assert "(1 d 1 h)" in later.text
