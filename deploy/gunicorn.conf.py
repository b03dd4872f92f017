"""gunicorn for the web parts; address, workers and threads come from their settings."""

import os
import shutil

from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker
from prometheus_client import multiprocess

worker_class = "gthread"
preload_app = True
keepalive = 30
timeout = 30
graceful_timeout = 5
control_socket_disable = True
loglevel = "warning"
accesslog = None


def post_worker_init(worker: Worker) -> None:
    """Begin the worker's sign of life, after the fork."""
    worker.wsgi.extensions["botwatch"].start()


def worker_exit(_server: Arbiter, worker: Worker) -> None:
    """End it."""
    worker.wsgi.extensions["botwatch"].close()


def child_exit(_server: Arbiter, worker: Worker) -> None:
    """Let the metrics of the worker's process go."""
    multiprocess.mark_process_dead(worker.pid)


def on_exit(_server: Arbiter) -> None:
    """Remove the folder that the workers' metrics were in."""
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
