"""Every message on the wire has golden examples, and the schemas in docs/ are the ones of the code."""

import json
from pathlib import Path

import msgspec
import pytest

from shared.runtime.settings import REPOSITORY
from shared.schema.export import MESSAGES, message_schemas
from shared.schema.records import KINDS

EXAMPLES = sorted((REPOSITORY / "shared" / "schema" / "examples").glob("*.json"))


def message_of(example: Path) -> str:
    named = [name for name in MESSAGES if example.stem == name or example.stem.startswith(f"{name}-")]
    return max(named, key=len)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_a_golden_example_decodes_and_encodes_to_the_same_json(example: Path) -> None:
    text = example.read_bytes()
    message = msgspec.json.decode(text, type=MESSAGES[message_of(example)])
    assert json.loads(msgspec.json.encode(message)) == json.loads(text)


def test_every_message_and_every_record_kind_has_an_example() -> None:
    stems = {path.stem for path in EXAMPLES}
    assert {message_of(path) for path in EXAMPLES} == set(MESSAGES)
    assert {f"record-{kind}" for kind in KINDS} <= stems


def test_the_schemas_in_docs_are_what_make_schema_writes() -> None:
    for name, text in message_schemas().items():
        assert (REPOSITORY / "docs" / "schema" / name).read_bytes() == text, "run `make schema`"
