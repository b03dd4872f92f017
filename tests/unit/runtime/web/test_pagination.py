"""Cursors, and the link to the next page."""

import pytest
from flask import Flask, Response

from shared.runtime.web.pagination import decode_cursor, encode_cursor, link_next


def test_a_cursor_gives_its_position_back() -> None:
    position = ["2026-01-31T12:00:00Z", "ä/+=?"]
    cursor = encode_cursor(position)
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert decode_cursor(cursor, list[str]) == position


@pytest.mark.parametrize(
    "cursor", ["", "x", "ä", "%%%", encode_cursor([1]), encode_cursor("a" * 5000), "WzE"]
)
def test_any_other_text_is_refused(cursor: str) -> None:
    with pytest.raises(ValueError, match=r"expected the cursor|too long"):
        decode_cursor(cursor, list[str])


def test_the_link_keeps_the_parameters() -> None:
    with Flask("test").test_request_context("/alerts?status=ACTIVE&text=a%20b&cursor=old", "http://x/prefix"):
        answer = link_next(Response(), "new")
        assert answer.headers["Link"] == '</prefix/alerts?status=ACTIVE&text=a+b&cursor=new>; rel="next"'
        assert "Link" not in link_next(Response(), None).headers
