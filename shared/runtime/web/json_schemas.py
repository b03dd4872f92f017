"""JSON Schemas of types for an OpenAPI document, with the texts of structs and of their fields.

Python keeps the docstring of a struct, but not those below its fields (PEP 257: attribute docstrings): these
are read from the source.
"""

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from inspect import cleandoc
from typing import Any

import msgspec

REF = "#/components/schemas/{name}"
_INNER = ("type", "item_type", "key_type", "value_type")
_LISTED = ("types", "item_types", "fields")


class Schemas:
    """The JSON Schemas of all types of a document; a struct is in it once."""

    def __init__(self, kinds: Iterable[Any]) -> None:
        listed = list(kinds)
        found, components = msgspec.json.schema_components(listed, ref_template=REF)
        # A type such as dict[str, Any] may not be hashable: they are found by their place.
        self._found = [(kind, _clean(schema)) for kind, schema in zip(listed, found, strict=True)]
        self.components = {name: _clean(part) for name, part in sorted(components.items())}
        for struct in structs_within(listed):
            for name, text in field_texts(struct).items():
                field = self.components.get(struct.__name__, {}).get("properties", {}).get(name, {})
                field.setdefault("description", text)

    def of(self, kind: Any) -> dict[str, Any]:  # noqa: ANN401 - any annotation
        """Return the schema of one of the types."""
        schema: dict[str, Any] = next(
            schema for known, schema in self._found if known is kind or known == kind
        )
        return schema


def structs_within(kinds: Sequence[Any]) -> set[type[msgspec.Struct]]:
    """Return all structs that types consist of."""
    found: set[type[msgspec.Struct]] = set()
    waiting: list[Any] = list(msgspec.inspect.multi_type_info(kinds))
    while waiting:
        node = waiting.pop()
        if isinstance(node, msgspec.inspect.StructType):
            if node.cls in found:
                continue
            found.add(node.cls)
        waiting += [part for name in _INNER if (part := getattr(node, name, None)) is not None]
        waiting += [part for name in _LISTED for part in getattr(node, name, ())]
    return found


def field_texts(struct: type[msgspec.Struct]) -> Mapping[str, str]:
    """Return the texts of a struct's fields by their names on the wire, also of those that it inherits."""
    texts: dict[str, str] = {}
    for owner in reversed(struct.__mro__):
        texts |= _module_texts(owner.__module__).get(owner.__qualname__, {})
    names = {field.name: field.encode_name for field in msgspec.structs.fields(struct)}
    return {names[name]: text for name, text in texts.items() if name in names}


@cache
def _module_texts(module: str) -> Mapping[str, Mapping[str, str]]:
    """Return class → field → text of a module; nothing where there is no source."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError):
        return {}
    return {node.name: dict(_class_texts(node)) for node in tree.body if isinstance(node, ast.ClassDef)}


def _class_texts(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, text in zip(node.body, node.body[1:], strict=False):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(words))),
            ):
                yield name, cleandoc(words)


def _clean(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """Remove the indentation of docstrings and Python's name for the end of a text; add the type of words."""
    if isinstance(schema, list):
        return [_clean(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    cleaned = {name: _clean(value) for name, value in schema.items()}
    if isinstance(text := cleaned.get("description"), str):
        cleaned["description"] = cleandoc(text)
    words = cleaned.get("enum")
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        cleaned.setdefault("type", "string")  # msgspec leaves it out
    if isinstance(text := cleaned.get("pattern"), str):
        cleaned["pattern"] = text.replace(r"\Z", "$")
    return cleaned
