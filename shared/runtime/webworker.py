"""gunicorn's worker, with a limit to how long one client may keep a thread."""

import socket
import time
from contextlib import suppress

from gunicorn.workers.gthread import TConn, ThreadWorker  # type: ignore[import-untyped]


class LimitedWorker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threads wait without end for the rest of a request: as many slow clients stop them all.

    Here the connection of a request that takes too long is shut down, which ends the waiting as if the client
    had gone.
    """

    limit_s = 20.0
    """From a request's first bytes to the end of the answer."""

    def init_process(self) -> None:
        """Begin to serve, in the worker's process."""
        self._deadlines: dict[TConn, float] = {}
        super().init_process()

    def handle(self, conn: TConn) -> object:
        """Handle one request, in one of the threads."""
        self._deadlines[conn] = time.monotonic() + self.limit_s
        try:
            return super().handle(conn)
        finally:
            del self._deadlines[conn]

    def notify(self) -> None:
        """Say that the worker lives; the main loop calls it about once a second."""
        now = time.monotonic()
        for conn, deadline in list(self._deadlines.items()):
            if now > deadline:
                with suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RDWR)
        super().notify()
