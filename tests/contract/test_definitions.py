"""Every figure of the wire is defined once, and docs/metrics.md says what the code says."""

import ast
import re

from shared.runtime.settings import REPOSITORY
from shared.schema.metric_definitions import DEFINITIONS
from shared.schema.metrics_page import metrics_page
from shared.schema.records import Performance
from shared.schema.undefined_reasons import REASONS
from shared.schema.units import metric_fields

COUNT_OF_FIGURES = "disagreements"


def test_every_figure_of_a_performance_record_is_defined() -> None:
    assert set(DEFINITIONS) == {figure.wire for figure in metric_fields(Performance)} - {COUNT_OF_FIGURES}


def test_metric_names_are_unique_and_definitions_are_sentences() -> None:
    assert len({one.label for one in DEFINITIONS.values()}) == len(DEFINITIONS)
    assert [one.wire for one in DEFINITIONS.values() if not one.text.endswith(".")] == []


def test_exactly_the_reasons_of_the_analytics_have_a_sentence() -> None:
    given = set()
    for path in (REPOSITORY / "shared" / "analytics").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and re.fullmatch(r"(no|not|too|unknown)(_[a-z]+)+", text):
                given.add(text)
    assert given == set(REASONS)


def test_the_page_in_docs_is_what_make_schema_writes() -> None:
    page = REPOSITORY / "docs" / "metrics.md"
    assert page.read_text(encoding="utf-8") == metrics_page(), "run `make schema`"
