"""Kills a process at a step of a delivery: loaded by every Python below a folder that PYTHONPATH names.

The parts run as they are shipped. Here their methods are wrapped: where one is about to begin, or has just
returned, whose step is armed, the process that the file names is killed with SIGKILL, once.
"""

import functools
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

ARMED = Path(__file__).parent / os.environ.get("KILLING", "nowhere")
"""JSON: `step`; `word`, which what the step is about must hold; the victim's `pid`, 0 for whoever is here."""


def kill(step: str, subject: object) -> None:
    """Kill the victim if this is the step."""
    try:
        armed = json.loads(ARMED.read_text())
    except FileNotFoundError:
        return
    if armed["step"] != step or armed["word"] not in repr(subject):
        return
    ARMED.rename(ARMED.with_suffix(".hit"))
    victim = psutil.Process(armed["pid"] or os.getpid())
    victim.send_signal(signal.SIGKILL)
    victim.wait(5)


def before(step: str, owner: Any, name: str) -> None:
    """Let `step` be when `owner.name` is called."""

    def wrap(inner: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(inner)
        def outer(*given: Any) -> Any:
            kill(step, given)
            return inner(*given)

        return outer

    setattr(owner, name, wrap(getattr(owner, name)))


def after(step: str, owner: Any, name: str) -> None:
    """Let `step` be when `owner.name` has returned."""

    def wrap(inner: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(inner)
        def outer(*given: Any, **named: Any) -> Any:
            result = inner(*given, **named)
            kill(step, (given, result))
            return result

        return outer

    setattr(owner, name, wrap(getattr(owner, name)))


def watch_evaluator() -> None:
    """Name the steps from a record to the wake."""
    from services.evaluator.evaluator import Evaluator  # noqa: PLC0415 - in that part only
    from services.evaluator.writing import Writing  # noqa: PLC0415

    after("alert written, not committed", Writing, "write")
    before("alert committed, nobody woken", Evaluator, "_tell")
    before("notifier woken, not announced", Evaluator, "_announce")
    after("announced, log not acknowledged", Evaluator, "_tell")


def watch_notifier() -> None:
    """Name the steps from the wake to the mark."""
    from services.notifier.delivery import Lane  # noqa: PLC0415 - in that part only
    from services.notifier.office import Office  # noqa: PLC0415
    from services.notifier.telling import Telling  # noqa: PLC0415
    from shared.store import deliveries, escalations  # noqa: PLC0415

    before("wake taken, dispatcher not woken", Office, "wake")
    after("event read, nothing written", escalations, "happenings")
    after("outbox written, not committed", Telling, "take")
    before("dispatched, lanes not woken", Office, "_wake")
    before("claimed, not sent", Lane, "_deliver_one")
    after("received, not marked", Lane, "_send")
    after("marked, not committed", deliveries, "mark_sent")
    after("marked and committed", Lane, "_deliver_one")


if os.environ.get("KILLING"):
    role = sys.orig_argv[sys.orig_argv.index("-m") + 1 :] if "-m" in sys.orig_argv else []
    if role == ["services.evaluator"]:
        watch_evaluator()
    elif role == ["services.notifier"]:
        watch_notifier()
