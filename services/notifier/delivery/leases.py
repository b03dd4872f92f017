"""Leases: deliveries in flight stay claimed while this process is alive."""

import threading
from collections.abc import Callable, Sequence

import structlog
from sqlalchemy.exc import SQLAlchemyError

from shared.runtime import clock
from shared.store import deliveries
from shared.store.database import Database

log = structlog.get_logger()

RENEW_INTERVAL_S = 1.0
"""Well below the length of a lease, so that one late renewal does no harm."""


class LeaseRenewer:
    """Renews the leases of the deliveries in flight (`held` lists them) until it is closed."""

    def __init__(self, held: Callable[[], Sequence[str]], database: Database) -> None:
        self._held = held
        self._database = database
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.wait(RENEW_INTERVAL_S):
            held = self._held()
            if not held:
                continue
            try:
                with self._database.write() as connection:
                    for lease in held:
                        deliveries.renew(connection, lease, clock.now())
            except SQLAlchemyError as error:
                log.warning("cannot renew leases", error=str(error))

    def check(self) -> None:
        """Raise RuntimeError if leases are no longer renewed."""
        if not self._thread.is_alive():
            raise RuntimeError("lease renewal thread has exited")

    def close(self) -> None:
        """Stop renewing."""
        self._closed.set()
        self._thread.join(timeout=1)
