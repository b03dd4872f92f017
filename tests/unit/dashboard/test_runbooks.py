"""The runbooks are a click away from their alerts, and nothing else of the disk is."""

import pytest
from flask.testing import FlaskClient


def test_a_runbook_is_served_as_text_that_a_browser_shows(client: FlaskClient) -> None:
    with client.get("/runbooks/daily-loss") as answer:
        assert (answer.status_code, answer.content_type) == (200, "text/plain; charset=utf-8")
        assert answer.get_data(as_text=True).startswith("# Daily loss\n")


@pytest.mark.parametrize("name", ["none", "..", "../api", "..%2Fapi", "%2Fetc%2Fpasswd", "daily-loss.md"])
def test_nothing_else_is_served(client: FlaskClient, name: str) -> None:
    assert client.get(f"/runbooks/{name}").status_code == 404
