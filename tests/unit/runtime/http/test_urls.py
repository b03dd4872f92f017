"""URLs that may have secrets in them."""

import pytest

from shared.runtime.http.urls import ascii_host, split_url


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


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("example.org", "example.org"),
        ("_dmarc.example.org", "_dmarc.example.org"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
    ],
)
def test_a_host_is_written_as_browsers_ask_for_it(host: str, expected: str) -> None:
    """Non-ASCII labels become `xn--` labels by IDNA 2008; what is ASCII stays."""
    assert ascii_host(host) == expected
