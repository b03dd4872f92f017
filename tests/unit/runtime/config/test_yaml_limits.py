"""YAML documents whose aliases stand for more than a computer has."""

from pathlib import Path

import pytest

from shared.runtime.config.documents import load_document, load_documents
from shared.runtime.config.notifications import Notifications
from shared.runtime.config.yaml_limits import MAX_DEPTH, MAX_EXPANDED_SIZE, validate_yaml_size
from shared.schema.faults import InvalidError

LEVELS = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
LEVELS += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
BOMB = "\n".join(LEVELS).encode()
"""A billion laughs and more: 10^12 values in 800 bytes."""
LONG = b"a: &a " + b"x" * 1000 + b"\nb: [" + b", ".join([b"*a"] * (MAX_EXPANDED_SIZE // 1000)) + b"]"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (BOMB, "with every alias written out"),
        (LONG, "with every alias written out"),
        (b"[" * 100_000, f"at most {MAX_DEPTH} levels"),
        (b"a: &a [*a]", r"alias \*a is inside its own anchor"),
    ],
    ids=["values", "characters", "depth", "circle"],
)
def test_refused(tmp_path: Path, data: bytes, message: str) -> None:
    """A document that would take all memory is refused before it is built, with the reason and the file."""
    (tmp_path / "notifications.yml").write_bytes(data)
    with pytest.raises(InvalidError, match=message) as refused:
        load_documents(tmp_path, {})
    assert refused.value.faults[0].path.endswith("notifications.yml")


def test_deep_json(tmp_path: Path) -> None:
    """A JSON document that is nested too deeply is refused, and no crash."""
    (tmp_path / "performance_logger.json").write_bytes(b"[" * 100_000)
    with pytest.raises(InvalidError, match="recursion"):
        load_documents(tmp_path, {})


def test_aliases_are_allowed(tmp_path: Path) -> None:
    """Aliases as people use them are taken, and what is no YAML is left to the decoder."""
    path = tmp_path / "notifications.yml"
    window = "&a {name: a, match: {bot: a}, cron: 0 2 * * 6, duration: 1h}"
    path.write_text(f"maintenance:\n- {window}\n- {{<<: *a, name: b}}\n")
    found = load_document(path, Notifications, {}).maintenance
    assert [(one.name, one.match) for one in found] == [("a", {"bot": "a"}), ("b", {"bot": "a"})]
    validate_yaml_size(b"a: [")
