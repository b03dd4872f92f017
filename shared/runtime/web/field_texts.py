"""The texts below the fields of structs, which Python does not keep: read from the source.

A struct's docstring is its schema's description already; these are those of its fields (PEP 257: attribute
docstrings).
"""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from inspect import cleandoc
from typing import Any

import msgspec

_INNER = ("type", "item_type", "key_type", "value_type")
_LISTED = ("types", "item_types", "fields")


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
