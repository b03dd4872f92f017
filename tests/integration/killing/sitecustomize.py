"""Kills a process at a step of a delivery: loaded by every Python below a folder that PYTHONPATH names.

The parts run as they are shipped. Here their methods are wrapped: where one is about to begin, or has just
returned, whose step is armed, the process that the file names is killed with SIGKILL, once.
"""

import functools
import json
import os
import runpy
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


def kill_before(step: str, owner: Any, name: str) -> None:
    """Let `step` be when `owner.name` is called."""

    def wrap(inner: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(inner)
        def outer(*given: Any) -> Any:
            kill(step, given)
            return inner(*given)

        return outer

    setattr(owner, name, wrap(getattr(owner, name)))


def kill_after(step: str, owner: Any, name: str) -> None:
    """Let `step` be when `owner.name` has returned, unless it has found nothing (False)."""

    def wrap(inner: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(inner)
        def outer(*given: Any, **named: Any) -> Any:
            result = inner(*given, **named)
            if result is not False:
                kill(step, (given, result))
            return result

        return outer

    setattr(owner, name, wrap(getattr(owner, name)))


def arm_evaluator_steps() -> None:
    """Name the steps from a record to the wake."""
    from services.evaluator.alert_writer import AlertWriter  # noqa: PLC0415
    from services.evaluator.open_alerts import OpenAlerts  # noqa: PLC0415 - in that part only

    kill_after("alert written, not committed", AlertWriter, "write")
    kill_before("alert committed, nobody woken", OpenAlerts, "_wake_and_publish")
    kill_before("notifier woken, not announced", OpenAlerts, "publish")
    kill_after("announced, log not acknowledged", OpenAlerts, "_wake_and_publish")


def arm_notifier_steps() -> None:
    """Name the steps from the wake to the mark."""
    from services.notifier import notifier  # noqa: PLC0415
    from services.notifier.channel_supervisor import ChannelSupervisor  # noqa: PLC0415
    from services.notifier.delivery.worker import DeliveryWorker  # noqa: PLC0415 - in that part only
    from services.notifier.planning.planner import NotificationPlanner  # noqa: PLC0415
    from shared.store import deliveries, escalations  # noqa: PLC0415

    kill_after("wake taken, nothing dispatched", notifier, "wait_for_wake")
    kill_after("event read, nothing written", escalations, "next_events")
    kill_after("outbox written, not committed", NotificationPlanner, "plan_event")
    kill_before("leased, not handed over", ChannelSupervisor, "hand_over")
    kill_before("claimed, not sent", DeliveryWorker, "_deliver_batch")
    kill_after("received, not marked", DeliveryWorker, "_send_batch")
    kill_after("marked, not committed", deliveries, "mark_sent")
    kill_after("marked and committed", DeliveryWorker, "_deliver_batch")


def run_armed(*given: Any, **named: Any) -> Any:
    """Run the module of a part, with its steps armed."""
    role = sys.orig_argv[sys.orig_argv.index("-m") + 1 :]
    if role == ["services.evaluator"]:
        arm_evaluator_steps()
    elif role == ["services.notifier"]:
        arm_notifier_steps()
    return run_module(*given, **named)


if os.environ.get("KILLING"):
    # supervisord forks the parts, each of which then runs its module.
    run_module, runpy.run_module = runpy.run_module, run_armed
