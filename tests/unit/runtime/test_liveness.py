"""A process whose main loop is stuck ends by itself; one that was stopped or is busy does not."""

import os
import re
import signal
import subprocess
import sys

import pytest

from shared.runtime.liveness import LIMIT_S, TICK_S
from shared.runtime.settings import REPOSITORY
from tests.support import wait_until

pytestmark = pytest.mark.slow  # starts processes

LOOP = """
import re, sys, time
from shared.runtime.health import Pulse
from shared.runtime.liveness import StallGuard
pulse = Pulse()
StallGuard(pulse, limit_s=0.6, startup_limit_s={startup})
def step():
    {step}
print("up", flush=True)
while True:
    {beat}
    step()
"""


def begin(step: str, *, beat: str = "pulse.touch()", startup: float = 60.0) -> subprocess.Popen[str]:
    code = LOOP.format(step=step, beat=beat, startup=startup)
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_every_part_is_noticed_within_15_s() -> None:
    """A part of ours by its own thread, a web part by gunicorn's arbiter; both look once a second."""
    configuration = (REPOSITORY / "deploy" / "gunicorn.conf.py").read_text()
    found = re.search(r"^timeout = (\d+)\b", configuration, re.MULTILINE)
    assert found
    assert LIMIT_S + TICK_S <= 15
    assert float(found[1]) + 1 <= 15


def test_a_loop_that_waits_for_ever_ends_with_its_stacks() -> None:
    """The main thread sleeps: exit code 70, and the stacks name the function it is in."""
    process = begin("time.sleep(60)")
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 70
    assert "Main loop stalled for" in errors
    assert "in step" in errors


def test_a_loop_that_holds_the_gil_is_ended_with_its_stacks() -> None:
    """Python's own regex engine backtracks in C: no thread runs, so the kernel's timer ends the process."""
    process = begin("re.fullmatch('(a|.)*b', 'a' * 100)")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGPROF
    assert "in step" in errors


def test_a_start_that_never_reaches_the_loop_ends() -> None:
    """Before the first beat the longer limit holds."""
    process = begin("time.sleep(60)", beat="pass", startup=0.9)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 70
    assert "Main loop stalled" in errors


@pytest.mark.parametrize("step", ["time.sleep(0.1)", "sum(range(100_000))"])
def test_a_stopped_or_busy_process_lives_on(step: str) -> None:
    """SIGSTOP for several limits, as a suspended machine, ends nothing; nor does hard work."""
    process = begin(step)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2.0)
    process.send_signal(signal.SIGCONT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.5)
    process.kill()
    wait_until(lambda: process.poll() is not None, "it is gone")
    process.stdout.close()
    process.stderr.close()
