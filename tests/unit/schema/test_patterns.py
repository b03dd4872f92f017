"""Patterns of users: matched in linear time, over whole values, across line breaks."""

import pytest

from shared.schema.patterns import MAX_PATTERN, Regex, glob_matches, match_labels, parse_match, validate_regex


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(a|.)" * 32 + "b", "a" * 100),
        ("a?" * 24 + "a" * 24 + "b", "a" * 256),
        (".*.*.*.*x", "a" * 256),
        ("(a+)+b", "a" * 100_000),
        ("(a|aa)*(a|aa)*(a|aa)*b", "a" * 100_000),
    ],
)
def test_expressions_that_hang_a_backtracking_engine(pattern: str, text: str) -> None:
    """A regular expression takes linear time; Python's engine would not return within the test's deadline."""
    assert not Regex(pattern).fullmatch(text)
    assert not Regex(pattern).search(text)


def test_globs_are_linear() -> None:
    """A glob of many stars takes linear time too."""
    assert not glob_matches("*a" * 64 + "b", "a" * 10_000)


def test_line_breaks() -> None:
    """A line break in a label is a character like any other, in regular expressions and in globs."""
    assert Regex("binance.*").fullmatch("binance\nspot")
    assert Regex("b.n").search("a\nb\nn")
    assert glob_matches("binance*", "binance\nspot")
    assert match_labels(parse_match({"venue": "b*t"}), {"venue": "binance\nspot"})


def test_anchors() -> None:
    """A full match covers the whole value in each of its alternatives, as in Alertmanager."""
    assert not Regex("a|b").fullmatch("ab")
    assert not Regex("^a$").fullmatch("a\n")
    assert Regex("b").search("abc")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(a", "missing"),
        ("(?=a)b", r"invalid perl operator: \(\?="),
        (r"(a)\1", "invalid escape"),
        ("a{1001}", "invalid repetition size"),
        ("(?:a?){0,500}" * 60, "too large"),
        ("\ud800", "lone surrogate"),
        ("a" * (MAX_PATTERN + 1), f"at most {MAX_PATTERN} characters"),
    ],
)
def test_refused(pattern: str, message: str) -> None:
    """What RE2 cannot match in linear time, or what is too large, is refused with the reason."""
    with pytest.raises(ValueError, match=message):
        validate_regex("body", pattern)


def test_half_characters() -> None:
    """A text with half a character in it is matched, not an error."""
    assert Regex("a.b").fullmatch("a\ud800b")
