"""Nothing that was written is left out of its registry: channels, rule kinds, message kinds' tables."""

import ast
from pathlib import Path

import pytest

from shared.runtime.settings import REPOSITORY
from shared.schema.records import KINDS
from shared.store.tables import TABLES
from tests.web_apps import web_app

REGISTRIES = {
    "services/notifier/channels/registry.py": (
        "services/notifier/channels",
        {"base", "email_addresses", "json_poster"},
    ),
    "shared/rules/loader.py": ("shared/rules/measures", {"running"}),
}
"""A registry, the folder of its entries, and the modules there that are no entries."""


def imported(path: Path) -> set[str]:
    """Return the last names of the modules that a file imports from."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return {name.rpartition(".")[2] for name in names}


@pytest.mark.parametrize("registry", REGISTRIES)
def test_every_module_of_a_registry_is_registered(registry: str) -> None:
    path = REPOSITORY / registry
    folder, others = REGISTRIES[registry]
    modules = {one.stem for one in (REPOSITORY / folder).glob("*.py")} - {"__init__", path.stem}
    assert modules - others <= imported(path)


def test_every_kind_of_record_has_a_table() -> None:
    assert set(KINDS.values()) == set(TABLES)


@pytest.mark.parametrize("part", ["dashboard", "ingestion"])
def test_every_route_has_a_scope(part: str) -> None:
    """A new route gets a line in the part's ROUTE_SCOPES; without one it needs the scope `admin`."""
    app = web_app(part)
    routes = {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routes == set(app.extensions["botwatch"].access.scopes)
