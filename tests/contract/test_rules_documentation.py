"""docs/rules.md names every key, and its examples are valid."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.evaluator.commands import run_rule_test
from shared.rules.loader import CHECK_RULES
from shared.runtime.settings import REPOSITORY
from shared.schema.conditions import ComparedWith, Condition, LevelSection, PartSection
from shared.schema.faults import struct_faults

PAGE = REPOSITORY / "docs" / "rules.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("section", [Condition, ComparedWith, LevelSection, PartSection])
def test_every_key_is_there(section: Any) -> None:
    keys = [field.encode_name for field in msgspec.structs.fields(section)]
    assert [key for key in keys if f"`{key}`" not in TEXT and f'"{key}"' not in TEXT] == []


def test_the_rules_in_it_are_valid() -> None:
    examples = [msgspec.json.decode(one) for one in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)]
    assert len(examples) > 3
    assert len(EXAMPLES) > 1
    assert [fault for one in examples for fault in struct_faults(one, Condition)] == []


def test_every_rule_on_checks_is_there_with_its_type() -> None:
    assert [
        name for kind, (name, _) in CHECK_RULES.items() if f"`{name}` ({kind})" not in " ".join(TEXT.split())
    ] == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_rule_tests_in_it_go_as_expected(tmp_path: Path, example: str) -> None:
    path = tmp_path / "example.yml"
    path.write_text(example.replace("../deploy", str(REPOSITORY / "deploy")))
    assert run_rule_test(path, {}) == []
