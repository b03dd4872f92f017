"""A connection that ends at a deadline, however slowly bytes trickle in."""

import io
import socket
import time
from typing import Any

from services.collector.net.dial import seconds_left


class DeadlineSocket(io.RawIOBase):
    """Reads from and writes to a socket; TimeoutError past the deadline, a moment of `time.monotonic()`.

    It passes for a socket where only `makefile` is asked for. Closing it leaves the socket open.
    """

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        """Yes."""
        return True

    def writable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        """Read what is there."""
        self._wait()
        return self._connection.recv_into(buffer)

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        """Write a part."""
        self._wait()
        return self._connection.send(data)

    def makefile(self, *_: object, mode: str = "rb") -> Any:  # noqa: ANN401 - the two have no common type
        """Return a buffered stream for reading, or with mode `rwb` for both."""
        if "w" in mode:
            return io.BufferedRWPair(self, self)
        return io.BufferedReader(self)

    def _wait(self) -> None:
        if time.monotonic() >= self._deadline:
            raise TimeoutError
        self._connection.settimeout(seconds_left(self._deadline))
