"""gunicorn for the web parts; address, workers and threads come from their settings."""

import atexit
import gc
import os
import shutil
import ssl
from collections.abc import Callable
from pathlib import Path

from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.workers.base import Worker

from shared.runtime.web.multiprocess_metrics import keep_counts_of, share_metrics
from shared.runtime.web.tls import TlsFiles, server_context

worker_class = "shared.runtime.web.gunicorn_worker.LimitedWorker"
preload_app = True
keepalive = 30
timeout = 14  # a worker that is stalled for this long is replaced; gunicorn checks once a second
graceful_timeout = 5
asgi_lifespan = "off"
asgi_loop = "asyncio"
control_socket_disable = True
loglevel = "warning"
accesslog = None

metrics = share_metrics()
master = os.getpid()


@atexit.register
def remove_metrics() -> None:
    """Remove the folder when the master ends, also when it could not start; workers leave it alone."""
    if os.getpid() == master:
        shutil.rmtree(metrics, ignore_errors=True)


def ssl_context(config: Config, _default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Return the context of TLS, which follows renewed certificates."""
    return server_context(TlsFiles(Path(config.certfile), Path(config.keyfile)))


def when_ready(_arbiter: Arbiter) -> None:
    """Keep what is loaded from the garbage collector, before workers are forked.

    It would scan it during a large response, and copy to each worker the pages on which it makes notes.
    """
    gc.collect()
    gc.freeze()


def post_worker_init(worker: Worker) -> None:
    """Begin the worker's sign of life, after the fork."""
    worker.wsgi.extensions["botwatch"].start()


def worker_exit(_server: Arbiter, worker: Worker) -> None:
    """End it."""
    worker.wsgi.extensions["botwatch"].close()


def child_exit(_server: Arbiter, worker: Worker) -> None:
    """Keep what the worker has counted."""
    keep_counts_of(worker.pid, metrics)
