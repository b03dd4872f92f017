"""ETags, conditional requests and compression."""

import gzip
from collections.abc import Iterator

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from shared.runtime.web.app import json_response
from shared.runtime.web.transfer import MIN_BYTES, install_transfer

LONG = ["a line that is repeated"] * 100
ACCEPT = {"Accept-Encoding": "gzip, br"}


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    app = Flask("test", static_folder=None)
    install_transfer(app)
    app.add_url_rule("/api/long", "long", lambda: json_response(LONG), methods=["GET", "POST"])
    app.add_url_rule("/api/short", "short", lambda: json_response(1))
    app.add_url_rule("/api/missing", "missing", lambda: json_response(LONG, 404))
    app.add_url_rule("/page", "page", lambda: Response("x" * MIN_BYTES, mimetype="text/html"))

    @app.get("/api/stream")
    def stream() -> Response:
        def lines() -> Iterator[str]:
            yield from (f"{line}\n" for line in LONG)

        return Response(lines(), content_type="text/csv; charset=utf-8")

    return app.test_client()


def test_who_has_an_answer_does_not_get_it_again(client: FlaskClient) -> None:
    first = client.get("/api/long")
    tag = first.headers["ETag"]
    assert (tag[:2], first.get_json()) == ("W/", LONG)
    again = client.get("/api/long", headers={"If-None-Match": tag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    assert client.get("/api/long", headers={"If-None-Match": 'W/"other"'}).status_code == 200


def test_long_answers_are_compressed_for_those_who_can_read_it(client: FlaskClient) -> None:
    plain, packed = client.get("/api/long"), client.get("/api/long", headers=ACCEPT)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) == int(packed.headers["Content-Length"]) < len(plain.data)
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
    assert plain.headers["ETag"] == packed.headers["ETag"]
    again = client.get("/api/long", headers={**ACCEPT, "If-None-Match": packed.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_a_stream_is_compressed_while_it_is_sent(client: FlaskClient) -> None:
    packed = client.get("/api/stream", headers=ACCEPT)
    assert gzip.decompress(packed.data).decode().splitlines() == LONG
    assert "ETag" not in packed.headers


@pytest.mark.parametrize("path", ["/api/short", "/api/missing", "/page"])
def test_short_answers_errors_and_pages_are_not_compressed(client: FlaskClient, path: str) -> None:
    """A page has secrets, of which its length would tell."""
    assert "Content-Encoding" not in client.get(path, headers=ACCEPT).headers


def test_the_answer_to_a_change_has_no_etag(client: FlaskClient) -> None:
    answer = client.post("/api/long", headers=ACCEPT)
    assert not {"ETag", "Content-Encoding"} & set(answer.headers.keys())
    assert client.head("/api/long", headers=ACCEPT).headers["Content-Encoding"] == "gzip"
