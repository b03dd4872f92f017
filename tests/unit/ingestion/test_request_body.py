"""Request bodies: accepted ones, and the status of rejected ones."""

import gzip
import random
import zlib
from http import HTTPStatus

import pytest

from services.ingestion.request_body import BodyError, decompress, is_lines


@pytest.mark.parametrize(
    ("content_type", "lines"),
    [
        ("application/json", False),
        ("application/json; charset=utf-8", False),
        ("Application/X-NDJSON", True),
        ("application/jsonl", True),
    ],
)
def test_json_and_ndjson_are_accepted(content_type: str, lines: bool) -> None:
    assert is_lines(content_type) is lines


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_other_content_types_are_415_and_say_what_was_expected(content_type: str) -> None:
    with pytest.raises(BodyError, match="application/json") as raised:
        is_lines(content_type)
    assert raised.value.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE


def test_gzip_is_decompressed() -> None:
    assert decompress(gzip.compress(b"[]"), "gzip", 10) == b"[]"


def test_gzip_with_several_members_is_decompressed() -> None:
    assert decompress(gzip.compress(b"[1,") + gzip.compress(b"2]"), "gzip", 10) == b"[1,2]"


def test_gzip_with_100_000_members_takes_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zlib copies what follows a member's end: it is handed a piece, never the whole rest."""
    handed: list[int] = []

    class Stream:
        def __init__(self, wbits: int) -> None:
            self._stream = real(wbits)

        def decompress(self, data: bytes, most: int) -> bytes:
            handed.append(len(data))
            return self._stream.decompress(data, most)

        def __getattr__(self, name: str) -> object:
            return getattr(self._stream, name)

    real = zlib.decompressobj
    monkeypatch.setattr(zlib, "decompressobj", Stream)
    words = [b"%d," % number * (number % 50) for number in range(300)]
    packed = b"".join(map(gzip.compress, words)) + gzip.compress(random.Random(1).randbytes(10_000))
    assert decompress(packed, "gzip", 100_000).startswith(b"".join(words))
    assert max(handed) <= 1024


def test_the_compression_ratio_is_limited() -> None:
    packed = gzip.compress(b"{}" * 500_000)
    with pytest.raises(BodyError, match="100 times its size") as raised:
        decompress(packed, "gzip", 2 * 2**20)
    assert raised.value.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert len(decompress(gzip.compress(b"{}" * 30_000), "gzip", 2 * 2**20)) == 60_000


@pytest.mark.parametrize(
    ("data", "encoding", "status"),
    [
        (b"[]", "br", HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        (b"[]", "gzip", HTTPStatus.BAD_REQUEST),
        (gzip.compress(b"[1, 2, 3]")[:-6], "gzip", HTTPStatus.BAD_REQUEST),
        (gzip.compress(b"[1, 2, 3]") + b"more", "gzip", HTTPStatus.BAD_REQUEST),
        (gzip.compress(b" " * 10_000_000), "gzip", HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    ],
    ids=["unknown encoding", "not gzip", "cut off", "more behind it", "a bomb"],
)
def test_an_invalid_encoding_is_rejected(data: bytes, encoding: str, status: HTTPStatus) -> None:
    with pytest.raises(BodyError) as raised:
        decompress(data, encoding, 1000)
    assert raised.value.status == status
