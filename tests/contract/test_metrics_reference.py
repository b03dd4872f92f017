"""docs/metrics-reference.md lists what the parts register, and what is renamed keeps its old name."""

import re

import pytest
import yaml

from shared.runtime.settings import REPOSITORY
from tests.metrics_reference import TAIL, metric_entries, reference

pytestmark = pytest.mark.slow  # imports every part


def test_the_page_is_what_the_parts_register() -> None:
    page = REPOSITORY / "docs" / "metrics-reference.md"
    assert page.read_text(encoding="utf-8") == reference(), "run `make schema`"


def test_every_metric_of_botwatch_says_what_it_is() -> None:
    """Names are of Botwatch or of the process; a metric is described, and has no label of the target."""
    for entry in metric_entries():
        assert re.match(r"(botwatch|process)_[a-z0-9_]+\Z", entry.name)
        assert len(entry.meaning) > 9, entry
        assert not {"app", "job", "instance", "__name__"} & set(entry.labels), entry


def test_old_names_are_made_by_a_recording_rule() -> None:
    document = yaml.safe_load((REPOSITORY / "prometheus/rules/recording.yml").read_text(encoding="utf-8"))
    made = {
        rule["record"]: rule["expr"]
        for group in document["groups"]
        for rule in group["rules"]
        if group["name"] == "botwatch-old-names"
    }
    renamed = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|$", TAIL, re.MULTILINE))
    assert {old: f'{new}{{app="botwatch"}}' for old, new in renamed.items()} == made
    assert set(renamed.values()) <= {entry.name for entry in metric_entries()}
