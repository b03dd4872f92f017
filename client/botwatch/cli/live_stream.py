"""The WebSocket of Botwatch: its messages, through interruptions."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit, urlunsplit

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.sync.client import ClientConnection, connect

from botwatch.cli.api_command import Api
from botwatch.errors import BotwatchError, FullError, RefusedError, UnreachableError
from botwatch.typed_json import Document

PORT, PATH = 8080, "/monitoring"
TIMEOUT_S = 10.0
FIRST_WAIT_S, MAX_WAIT_S = 1.0, 30.0
MAX_FRAME_BYTES = 64 * 1024 * 1024
TOKEN_REFUSED = 4401
"""Close code: the token is not valid any more."""


def find_websocket(api: Api) -> str:
    """Return the URL of the WebSocket, which the dashboard knows."""
    found = api.post("/api/monitoring/websocket-ticket", None, Document)
    if found.get("url"):
        return str(found["url"])
    parts = urlsplit(api.url)
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    scheme = "wss" if parts.scheme == "https" else "ws"
    return urlunsplit((scheme, f"{host}:{found.get('port', PORT)}", PATH, "", ""))


class LiveStream:
    """Messages of the WebSocket that a query asks for; connects again by itself."""

    def __init__(self, url: str, token: str, query: Sequence[tuple[str, str]]) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._query = list(query)
        self._since = ""
        """ID of the last message."""
        self._seen: set[str] = set()
        """Messages of that ID: the server may send them again."""

    def messages(self) -> Iterator[Document]:
        """Yield records, alerts and gaps as they happen.

        Raises BotwatchError if the first connection fails, or one is refused.
        """
        wait = FIRST_WAIT_S
        connection: ClientConnection | None = self._connect()
        while True:
            try:
                connection = connection or self._connect()
                with connection:
                    for frame in connection:
                        wait = FIRST_WAIT_S
                        yield from self._new_messages(json.loads(frame))
            except ConnectionClosed as error:
                if error.rcvd and error.rcvd.code == TOKEN_REFUSED:
                    raise RefusedError(
                        f"{self._url}: {error.rcvd.reason}", status=HTTPStatus.UNAUTHORIZED
                    ) from error
                _warn(f"the connection is lost ({error}); connecting again")
            except (UnreachableError, FullError) as error:
                _warn(f"{error}; trying again in {wait:.0f} s")
            else:
                _warn("Botwatch closed the connection; connecting again")
            connection = None
            time.sleep(wait)
            wait = min(2 * wait, MAX_WAIT_S)

    def _connect(self) -> ClientConnection:
        query = urlencode([*self._query, *([("since", self._since)] if self._since else [])])
        try:
            return connect(
                f"{self._url}?{query}" if query else self._url,
                additional_headers=self._headers,
                open_timeout=TIMEOUT_S,
                close_timeout=1,
                max_size=MAX_FRAME_BYTES,
            )
        except InvalidStatus as error:
            raise _refusal(self._url, error) from error
        except (OSError, InvalidHandshake, InvalidURI) as error:
            raise UnreachableError(f"{self._url} is not responding: {error}") from error

    def _new_messages(self, frame: Document | list[Document]) -> Iterator[Document]:
        if isinstance(frame, dict):  # the snapshot: what is known already
            self._since = self._since or str(frame.get("id", ""))
            return
        for message in frame:
            if message["type"] == "gap":
                _warn(f"messages before {message['oldest']} are missing: Botwatch no longer has them")
            if "id" not in message:
                continue
            text = json.dumps(message)
            if message["id"] != self._since:
                self._since, self._seen = message["id"], set()
            elif text in self._seen:
                continue
            self._seen.add(text)
            yield message


def _refusal(url: str, error: InvalidStatus) -> BotwatchError:
    status = error.response.status_code
    body = (error.response.body or b"").decode(errors="replace").strip()
    kind = (
        FullError
        if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)
        else RefusedError
    )
    return kind(f"{url} answered {status}: {body}", status=status)


def _warn(text: str) -> None:
    sys.stderr.write(f"botwatch: {text}\n")
