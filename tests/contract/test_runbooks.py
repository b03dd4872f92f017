"""Every shipped rule has a runbook page, and every page belongs to a rule."""

import re
from typing import Any

import pytest
import yaml

from services.notifier.delivery.channel_state import RUNBOOK
from services.notifier.watchdog.diagnosis import RULES as RULES_ON_BOTWATCH
from shared.runtime.config.documents import load_documents
from shared.runtime.config.rules import load_rules
from shared.runtime.settings import REPOSITORY

PAGES = sorted((REPOSITORY / "docs" / "runbooks").glob("*.md"))
RULES = load_rules(load_documents(REPOSITORY / "deploy" / "config", {}))
PROMETHEUS: dict[str, Any] = yaml.safe_load(
    (REPOSITORY / "prometheus" / "rules" / "alerts.yml").read_text(encoding="utf-8")
)
HEADINGS = ["What it means", "Likely causes", "What to do", "When to change the limit"]
MAX_LINES = 25


def test_every_rule_has_a_page_and_every_page_a_rule() -> None:
    named = [rule.runbook for rule in RULES]
    named += [*RULES_ON_BOTWATCH, RUNBOOK]
    named += [rule["annotations"]["runbook"] for group in PROMETHEUS["groups"] for rule in group["rules"]]
    assert set(named) == {path.stem for path in PAGES}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_is_short_and_has_the_four_parts(path: Any) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.match(r"# \w", text)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS
    assert len(text.splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_pages_that_a_page_names_exist(path: Any) -> None:
    named = re.findall(r'"([a-z]+(?:-[a-z]+)+)"', path.read_text(encoding="utf-8"))
    assert set(named) <= {page.stem for page in PAGES}
