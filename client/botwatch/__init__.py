"""The bot's side of Botwatch: a client for bots, a demo bot, and the `botwatch` command."""

from typing import TYPE_CHECKING

from botwatch.client import MonitoringController, SystemHealthMonitor
from botwatch.errors import (
    BotwatchError,
    Fault,
    FullError,
    InvalidRecordError,
    RefusedError,
    UnavailableError,
    UnreachableError,
)
from botwatch.log_handler import EventHandler
from botwatch.record_methods import Contract
from botwatch.sender import Stats

if TYPE_CHECKING:
    from botwatch.aio import AsyncMonitoringController

__all__ = [
    "AsyncMonitoringController",
    "BotwatchError",
    "Contract",
    "EventHandler",
    "Fault",
    "FullError",
    "InvalidRecordError",
    "MonitoringController",
    "RefusedError",
    "Stats",
    "SystemHealthMonitor",
    "UnavailableError",
    "UnreachableError",
]


def __getattr__(name: str) -> object:
    """Import the asyncio client when it is first used: asyncio takes as long as all the rest."""
    if name == "AsyncMonitoringController":
        from botwatch.aio import AsyncMonitoringController  # noqa: PLC0415

        return AsyncMonitoringController
    raise AttributeError(f"module 'botwatch' has no attribute {name!r}")
