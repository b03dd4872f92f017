"""Editors find what a config document may hold: the schemas in docs/ are the ones of the code."""

import re
from typing import Any

import msgspec
import pytest

from shared.runtime.config.json_schemas import DOCUMENTS, document_schemas
from shared.runtime.settings import REPOSITORY

CONFIG = REPOSITORY / "deploy" / "config"


def patterns(schema: Any) -> list[str]:
    """Return every pattern in a schema."""
    if isinstance(schema, list):
        return [pattern for one in schema for pattern in patterns(one)]
    if not isinstance(schema, dict):
        return []
    own = [schema["pattern"]] if isinstance(schema.get("pattern"), str) else []
    return own + patterns(list(schema.values()))


def test_the_schemas_in_docs_are_what_make_schema_writes() -> None:
    for name, text in document_schemas().items():
        assert (REPOSITORY / "docs" / "schema" / name).read_bytes() == text, "run `make schema`"


@pytest.mark.parametrize("name", document_schemas())
def test_patterns_mean_the_same_to_an_editor_as_to_python(name: str) -> None:
    assert [
        one for one in patterns(msgspec.json.decode(document_schemas()[name])) if re.search(r"\\[AZ]", one)
    ] == []


def test_every_shipped_document_names_its_schema() -> None:
    for path in CONFIG.iterdir():
        assert path.stem in DOCUMENTS
        named = re.search(r'\$schema(?:": "|=)(\S+?)["\n]', path.read_text(encoding="utf-8"))
        assert named
        assert (CONFIG / named[1]).is_file()
