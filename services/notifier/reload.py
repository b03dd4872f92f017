"""Reload of channels, routes and policies while the notifier runs; invalid documents are rejected."""

import threading
from collections.abc import Callable, Sequence

import structlog
from redis.exceptions import RedisError

from shared.runtime.redis.reload_requests import ReloadRequests
from shared.schema.faults import Fault, InvalidError

log = structlog.get_logger()

POLL_INTERVAL_S = 0.5


class NotifierReloader:
    """Polls for reload requests in its own thread; `reload` returns the number of channels served."""

    def __init__(self, requests: ReloadRequests, reload: Callable[[], int], channels: int) -> None:
        self._requests = requests
        self._reload = reload
        self._channels = channels
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reloading", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.wait(POLL_INTERVAL_S):
            try:
                if self._requests.is_pending():
                    self._apply()
            except RedisError as error:
                log.debug("redis is down: reload requests cannot be received", error=str(error))

    def _apply(self) -> None:
        faults: Sequence[Fault] = ()
        try:
            self._channels = self._reload()
        except InvalidError as error:
            faults = error.faults
            for fault in faults:
                log.error("config invalid; keeping the previous channels and routes", fault=str(fault))
        except Exception as error:
            # Nothing restarts this thread, so it survives any error. The error's text may contain a secret,
            # so the reply has only its type.
            log.exception("cannot reload channels and routes")
            faults = [Fault("notifier", f"cannot reload the documents ({type(error).__name__})")]
        else:
            log.info("channels and routes reloaded", channels=self._channels)
        self._requests.reply({"channels": self._channels}, faults)

    def close(self) -> None:
        """Stop polling."""
        self._closed.set()
        self._thread.join(timeout=1)
