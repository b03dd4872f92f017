"""docs/rules.md names every key, and its examples are valid."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.evaluator.commands import play
from shared.runtime.settings import REPOSITORY
from shared.schema.conditions import ComparedWith, Condition, LevelSection, PartSection
from shared.schema.faults import struct_faults

PAGE = REPOSITORY / "docs" / "rules.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("section", [Condition, ComparedWith, LevelSection, PartSection])
def test_every_key_is_there(section: Any) -> None:
    keys = [field.encode_name for field in msgspec.structs.fields(section)]
    assert [key for key in keys if f"`{key}`" not in TEXT and f'"{key}"' not in TEXT] == []


def test_the_rules_in_it_are_valid() -> None:
    examples = [msgspec.json.decode(one) for one in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)]
    assert len(examples) > 3
    assert [fault for one in examples for fault in struct_faults(one, Condition)] == []


def test_the_rule_test_in_it_goes_as_expected(tmp_path: Path) -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    path = tmp_path / "example.yml"
    path.write_text(example.replace("../deploy", str(REPOSITORY / "deploy")))
    assert play(path, {}) == []
