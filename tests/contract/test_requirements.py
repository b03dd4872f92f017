"""Each image installs what the code in it imports: its lock names every package that the service reaches."""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # reads all locks

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = sorted(path.parent.name for path in ROOT.glob("services/*/__main__.py"))
OURS = ("services", "shared", "botwatch")
ALSO_STARTED = {"recorder": ["shared/runtime/migrate.py"]}
"""What compose runs from a service's image besides the service."""
HIDDEN = {"yaml.decode": "pyyaml"}
"""Packages that msgspec imports only when it is asked to."""
COMMAND_MODULES = "*command*.py"
"""Modules of commands: only the image of the command runs them."""


def module_path(name: str) -> Path | None:
    """Return the file of one of our modules, None for a name inside a module."""
    path = ROOT.joinpath(*name.split("."))
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None


@cache
def imports_of(path: Path) -> frozenset[str]:
    """Return the dotted names that a file imports, at its top or inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def reached(paths: list[Path]) -> set[Path]:
    """Return the files that are loaded with `paths`, following imports among our own modules."""
    found: set[Path] = set()
    waiting = list(paths)
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        ours = (name for name in imports_of(path) if name.split(".")[0] in OURS)
        waiting += [module for name in ours if (module := module_path(name))]
    return found


_distributions = cache(packages_distributions)


def packages(paths: set[Path]) -> Iterator[str]:
    """Yield the distributions that files import."""
    distributions = _distributions()
    for path in paths:
        for name in imports_of(path):
            top = name.split(".")[0]
            if top not in OURS and top not in sys.stdlib_module_names:
                yield re.sub(r"[._]", "-", distributions[top][0].lower())
        text = path.read_text(encoding="utf-8")
        yield from (package for call, package in HIDDEN.items() if call in text)


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_lock_of_a_service_has_every_package_that_it_imports(folder: str) -> None:
    service = ROOT / "services" / folder
    own = set(service.rglob("*.py")) - set(service.rglob(COMMAND_MODULES))
    files = reached([*own, *(ROOT / name for name in ALSO_STARTED.get(folder, []))])
    assert set(packages(files)) <= locked(folder).keys()


def test_the_locks_of_the_command_have_every_package_that_commands_import() -> None:
    own = [*(ROOT / "client" / "botwatch" / "cli").rglob("*.py"), *(ROOT / "services").rglob(COMMAND_MODULES)]
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    [names] = re.findall(r"for lock in ([a-z ]+);", dockerfile)
    installed = {package for name in ["notifier", *names.split()] for package in locked(name)}
    assert set(packages(set(own))) <= installed


def locked(name: str) -> dict[str, str]:
    """Return the versions that a lock pins."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("folder", FOLDERS)
def test_make_run_and_make_test_install_the_locked_versions(folder: str) -> None:
    assert locked(folder).items() <= locked("native").items()
    assert locked(folder).items() <= locked("dev").items()


def test_no_lock_names_an_address() -> None:
    for path in (ROOT / "requirements").iterdir():
        assert "://" not in path.read_text(encoding="utf-8")
