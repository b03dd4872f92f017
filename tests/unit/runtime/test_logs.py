"""Logs never show credentials."""

from shared.runtime.logs import hide_credentials


def test_user_and_password_of_a_url_are_hidden() -> None:
    text = "cannot reach redis://user:secret@host:6379/0 and mailto://a:b@smtp"
    assert hide_credentials(text) == "cannot reach redis://***@host:6379/0 and mailto://***@smtp"


def test_a_password_with_an_at_sign_is_hidden_to_its_end() -> None:
    assert hide_credentials("redis://:pa@ss@host:6379/0") == "redis://***@host:6379/0"
