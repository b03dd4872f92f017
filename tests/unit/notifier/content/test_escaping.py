"""Markup in names and texts is made plain."""

import pytest

from services.notifier.content.escaping import escape_markdown, neutralize


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@channel (@here)", "@|channel (@|here)"),
        ("ann@example.org: x <= 3 @ noon", "ann@example.org: x <= 3 @ noon"),
        ("5 < 7", "5 < 7"),
        ("[a](http://b.example)", "[a]|(http://b.example)"),
        ('<at user_id="all"></at><!here>', '<|at user_id="all"><|/at><|!here>'),
        ("https://b.example/@ann/x?y=<z>", "https://b.example/%40ann/x?y=<|z>"),
    ],
)
def test_mentions_tags_and_hidden_links_lose_their_meaning(text: str, expected: str) -> None:
    """A zero-width space, here `|`, is put where a chat would begin to read markup."""
    assert neutralize(text) == expected.replace("|", "\u200b")


def test_markdown_is_escaped_around_addresses() -> None:
    """Addresses stay links: an underscore in them is no markup."""
    text = r"my_bot *x* [y] #1 \ http://a.example/b_c_d see `z`"
    expected = r"my\_bot \*x\* \[y\] \#1 \\ http://a.example/b_c_d see \`z\`"
    assert escape_markdown(text) == expected
