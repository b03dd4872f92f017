"""The runbooks are a click away from their alerts, and nothing else of the disk is."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from services.dashboard import page


def test_a_runbook_is_a_page_that_a_browser_shows(client: FlaskClient) -> None:
    """Markdown becomes HTML: headings, lists, and a title."""
    answer = client.get("/runbooks/daily-loss")
    assert (answer.status_code, answer.content_type) == (200, "text/html; charset=utf-8")
    assert "<h1>Daily loss</h1>" in answer.text
    assert "<title>Daily loss · Botwatch</title>" in answer.text
    assert "<li>" in answer.text


def test_markup_in_a_runbook_is_text(
    client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of one's own brings no script in; links to other pages lead to them."""
    monkeypatch.setattr(page, "RUNBOOKS", tmp_path)
    (tmp_path / "mine.md").write_text("# <script>x</script>\n[a](drawdown.md) [b](javascript:x)\n")
    text = client.get("/runbooks/mine").text
    assert "<script>" not in text
    assert '<a href="drawdown">a</a>' in text
    assert 'href="javascript' not in text


@pytest.mark.parametrize("name", ["none", "..", "../api", "..%2Fapi", "%2Fetc%2Fpasswd", "daily-loss.md"])
def test_nothing_else_is_served(client: FlaskClient, name: str) -> None:
    assert client.get(f"/runbooks/{name}").status_code == 404


def test_a_link_to_a_missing_runbook_says_what_is_wrong(client: FlaskClient) -> None:
    """The rule names a page that does not exist, which only a follower of the link would see."""
    assert client.get("/runbooks/none").get_json()["error"].startswith("no runbook of this name")
