"""Encrypted values of the config."""

from pathlib import Path

import msgspec
import pytest

from shared.runtime.config.check_sections import HttpSection
from shared.runtime.encrypted_values import decrypt, decrypt_section, encrypt, new_key, rotate
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


def test_a_section_is_decrypted_whole_and_validated_again() -> None:
    """A URL and a header of a check are in clear; what decrypts to no URL is refused."""
    environ = {"BOTWATCH_KEY": new_key()}
    section = HttpSection(
        url=encrypt("https://db.example", environ), headers={"X": encrypt("hush", environ), "Y": "open"}
    )
    clear = decrypt_section(section, environ)
    assert (clear.url, clear.headers) == ("https://db.example", {"X": "hush", "Y": "open"})
    with pytest.raises(msgspec.ValidationError, match=r"\$\.url"):
        decrypt_section(HttpSection(url=encrypt("no URL", environ)), environ)


def test_rotation_encrypts_with_the_first_of_two_keys() -> None:
    """While both keys are set, old values are read; after the rotation the old key is not needed."""
    old, new = new_key(), new_key()
    document = f"url: {encrypt(SECRET, {'BOTWATCH_KEY': old})}  # a comment\n"
    assert decrypt(document[5:].split(maxsplit=1)[0], {"BOTWATCH_KEY": f"{new},{old}"}) == SECRET
    rotated, values = rotate(document, {"BOTWATCH_KEY": f"{new}, {old}"})
    assert values == 1
    assert rotated.endswith("  # a comment\n")
    assert decrypt(rotated[5:].split()[0], {"BOTWATCH_KEY": new}) == SECRET
