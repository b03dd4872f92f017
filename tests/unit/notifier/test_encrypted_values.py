"""Encrypted values of the config."""

from pathlib import Path

import pytest

from services.notifier.encrypted_values import decrypt, encrypt, new_key
from shared.schema.faults import InvalidError

SECRET = "https://example.org/höök"


def test_an_encrypted_value_is_what_it_was_and_does_not_show_it() -> None:
    environ = {"BOTWATCH_KEY": new_key()}
    hidden = encrypt(SECRET, environ)
    assert decrypt(hidden, environ) == SECRET
    assert hidden.startswith("encrypted:")
    assert "example" not in hidden


def test_a_value_in_clear_needs_no_key() -> None:
    assert decrypt("", {}) == ""
    assert decrypt(SECRET, {}) == SECRET


def test_the_key_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{new_key()}\n")
    environ = {"BOTWATCH_KEY_FILE": str(file)}
    assert decrypt(encrypt(SECRET, environ), environ) == SECRET


def test_keys_differ() -> None:
    assert new_key() != new_key()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "BOTWATCH_KEY: not set"),
        ({"BOTWATCH_KEY": "hush"}, "BOTWATCH_KEY: invalid key"),
        ({"BOTWATCH_KEY": "hüsh"}, "BOTWATCH_KEY: invalid key"),
        ({"BOTWATCH_KEY": new_key()}, "BOTWATCH_KEY: does not match an encrypted value"),
        ({"BOTWATCH_KEY_FILE": "/nowhere"}, "BOTWATCH_KEY_FILE: cannot be read"),
    ],
)
def test_a_missing_or_wrong_key_is_named_and_not_shown(environ: dict[str, str], expected: str) -> None:
    hidden = encrypt(SECRET, {"BOTWATCH_KEY": new_key()})
    with pytest.raises(InvalidError, match=expected) as caught:
        decrypt(hidden, environ)
    assert "botwatch encrypt" in str(caught.value) or "cannot be read" in str(caught.value)
    for secret in ("hush", "hüsh", SECRET, *environ.values()):
        assert secret not in str(caught.value).replace("/nowhere", "")


@pytest.mark.parametrize("damage", ["encrypted:", "encrypted:xyz", "encrypted:ü"])
def test_a_damaged_value_is_refused(damage: str) -> None:
    with pytest.raises(InvalidError, match="damaged"):
        decrypt(damage, {"BOTWATCH_KEY": new_key()})
