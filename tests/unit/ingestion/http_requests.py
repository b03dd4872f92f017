"""Helpers for tests of the HTTP endpoint as a process."""

import http.client
from collections.abc import Iterator, Mapping
from types import MappingProxyType

KEY = "k5JtLq2vXb8Rw0Zs"
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


def status(
    port: int,
    method: str,
    path: str,
    body: bytes | Iterator[bytes] | None = None,
    headers: Mapping[str, str] = NO_HEADERS,
) -> int:
    """Return the status of an answer; 0 while nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        return connection.getresponse().status
    except ConnectionRefusedError:
        return 0
    finally:
        connection.close()
