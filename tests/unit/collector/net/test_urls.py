"""URLs that may have secrets in them."""

import pytest

from services.collector.net.urls import split_url


def test_a_url_is_split() -> None:
    parts = split_url("postgresql://ann:s%40cret@db:5432/bots")
    assert (parts.hostname, parts.port, parts.path) == ("db", 5432, "/bots")


@pytest.mark.parametrize(
    "url", ["redis://:se/cret@db", "redis://ann:se/cret@db", "http://[::1/", "http://x:0"]
)
def test_what_is_wrong_with_a_url_is_told_without_a_part_of_it(url: str) -> None:
    with pytest.raises(ValueError, match="invalid URL") as caught:
        split_url(url)
    assert "cret" not in str(caught.value)
    assert caught.value.__context__ is None
