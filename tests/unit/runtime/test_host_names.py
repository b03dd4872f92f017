"""Host names in ASCII."""

import pytest

from shared.runtime.host_names import ascii_host


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
