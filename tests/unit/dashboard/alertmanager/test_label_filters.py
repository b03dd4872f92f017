"""Label filters, with the cases of Alertmanager's own tests."""

import re

import pytest

from services.dashboard.alertmanager.label_filters import matches_filters, matches_receiver, parse_filter
from shared.schema.silences import Matcher


@pytest.mark.parametrize(
    ("text", "matcher"),
    [
        ("foo=bar", Matcher("foo", "bar")),
        (' foo = "bar" ', Matcher("foo", "bar")),
        ("foo!=bar", Matcher("foo", "bar", is_equal=False)),
        ('foo=~"b.*|c"', Matcher("foo", "b.*|c", is_regex=True)),
        ("foo!~b", Matcher("foo", "b", is_regex=True, is_equal=False)),
        ("foo=", Matcher("foo", "")),
        ('foo=""', Matcher("foo", "")),
        (r'foo="a\"b\\c\nd\e"', Matcher("foo", 'a"b\\c\nd\\e')),
        ("foo=a b", Matcher("foo", "a b")),
        ("foo=bar,baz", Matcher("foo", "bar,baz")),
        ("foo=bar\\", Matcher("foo", "bar\\")),
    ],
)
def test_filters_are_read_as_by_alertmanager(text: str, matcher: Matcher) -> None:
    assert parse_filter(text) == matcher


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("foo", "bad matcher format: foo"),
        ("=bar", "bad matcher format: =bar"),
        ("9a=b", "bad matcher format: 9a=b"),
        ('foo="bar', 'matcher value contains unescaped double quote: "bar'),
        ('foo=b"ar', 'matcher value contains unescaped double quote: b"ar'),
        ('foo="b"ar"', 'matcher value contains unescaped double quote: "b"ar"'),
    ],
)
def test_what_is_wrong_is_said_in_alertmanagers_words(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_filter(text)


def test_a_regex_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"foo: not a regular expression"):
        parse_filter("foo=~[")


@pytest.mark.parametrize(
    ("text", "passes"),
    [("a=1", True), ("a=~.", True), ("a=~x", False), ("a!=1", False), ("a!=2", True), ("a!~[2-9]", True),
     ("a=~1|2", True), ("a=~", False), ("b=", True), ("b!=1", True), ('a!=""', True), ('b!=""', False)],
)  # fmt: skip
def test_regexes_are_anchored_and_a_missing_label_is_empty(text: str, passes: bool) -> None:
    assert matches_filters([parse_filter(text)], {"a": "1"}) is passes


def test_a_receiver_is_an_anchored_regex() -> None:
    assert matches_receiver("ni.*|day", ["night"])
    assert not matches_receiver("nigh", ["night"])
    with pytest.raises(ValueError, match="failed to parse receiver param"):
        matches_receiver("(", ["night"])
