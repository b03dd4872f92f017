"""Changes of config documents: readable lines, no secrets."""

from datetime import date
from typing import Any

import pytest

from shared.runtime.config.changes import MAX_LINES, describe_changes, redact


def redacted(value: Any) -> Any:
    return redact(value, lambda text: f"#{len(text)}")


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        ({"password": "planted"}, {"password": "redacted (#7)"}),
        ({"password": "${SMTP_PASSWORD}"}, {"password": "${SMTP_PASSWORD}"}),
        ({"password": "${SMTP_PASSWORD:-planted}"}, {"password": "redacted (#25)"}),
        ({"url": "tgram://planted/1"}, {"url": "tgram://… (#17)"}),
        ({"url": "https://h.example/planted?t=planted"}, {"url": "https://h.example/… (#35)"}),
        ({"url": "${HOOK:-https://u:planted@h.example}"}, {"url": "https://h.example/… (#36)"}),
        ({"url": "encrypted:planted"}, {"url": "redacted (#17)"}),
        ({"headers": {"X-Any": "planted"}}, {"headers": {"X-Any": "redacted (#7)"}}),
        ({"secret": {"x": ["planted"]}}, {"secret": {"x": ["redacted (#7)"]}}),
        ({"secret": 1234}, {"secret": "redacted (#4)"}),
        ({"username": "planted"}, {"username": "redacted (#7)"}),
        ({"begins": date(2026, 1, 5)}, {"begins": "2026-01-05"}),
        ({"heartbeats": {"abcdplanted": {"period": "1h"}}}, {"heartbeats": {"abcd…": {"period": "1h"}}}),
        ({"$schema": "https://h.example/x.json", "to": ["ops@h.example"], "port": 25}, None),
    ],
)
def test_redacted(document: dict[str, Any], shown: dict[str, Any] | None) -> None:
    """Secrets are replaced, references and everything else stay."""
    assert redacted(document) == (shown or document)
    assert "planted" not in str(redacted(document))


def test_lines() -> None:
    """Each changed, added or removed value is one line with its path; list items go by their names."""
    before = {"a.json": {"rules": [{"name": "x", "limit": 1}, {"name": "y", "limit": 2}], "on": True}}
    after = {"a.json": {"rules": [{"name": "y", "limit": 3}], "off": [1]}, "b.yml": None}
    assert describe_changes(before, after) == [
        "a.json: rules.x: removed {'name': 'x', 'limit': 1}",
        "a.json: rules.y.limit: 2 → 3",
        "a.json: on: removed True",
        "a.json: off: added [1]",
        "b.yml: added None",
    ]


def test_bounded() -> None:
    """Very many or very long changes are cut."""
    after = {"a.json": {str(number): "x" * 1000 for number in range(500)}}
    lines = describe_changes({"a.json": {}}, after)
    assert (len(lines), lines[-1]) == (MAX_LINES + 1, "… and 300 more")
    assert len(lines[0]) < 150
