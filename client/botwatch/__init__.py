"""The bot's side of Botwatch: a client for bots, a demo bot, and the `botwatch` command."""

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
from botwatch.record_methods import Contract

__all__ = [
    "BotwatchError",
    "Contract",
    "Fault",
    "FullError",
    "InvalidRecordError",
    "MonitoringController",
    "RefusedError",
    "SystemHealthMonitor",
    "UnavailableError",
    "UnreachableError",
]
