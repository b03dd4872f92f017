"""Forks of a process whose threads use SQLite: the child can use it, too."""

import subprocess
import sys

import pytest

from shared.runtime.settings import REPOSITORY
from shared.store.database import Database

pytestmark = pytest.mark.slow  # starts processes

PROGRAM = """
import os, sys, threading, time
from shared.store.database import Database
from shared.store.fork_lock import guard_forks

database = Database(sys.argv[1], afresh=True)
stopping = threading.Event()

def use():
    with database.read() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM log_position").fetchall()

def use_again_and_again():
    while not stopping.is_set():
        use()

guard_forks()
thread = threading.Thread(target=use_again_and_again)
thread.start()
ended = 0
for _ in range(30):
    child = os.fork()
    if child == 0:
        use()
        os._exit(0)
    deadline = time.monotonic() + 20
    while not (found := os.waitpid(child, os.WNOHANG)[0]) and time.monotonic() < deadline:
        time.sleep(0.001)
    if not found:
        os.kill(child, 9)
        break
    ended += 1
stopping.set()
thread.join()
print(ended)
"""


def test_a_fork_waits_for_threads_that_use_sqlite(health: Database) -> None:
    """Without the lock a child hangs within a few forks, in a mutex that a thread held."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, health.url],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout == "30\n"
