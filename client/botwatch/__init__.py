"""The bot's side of Botwatch: a client for bots, a demo bot, and the `botwatch` command."""

from botwatch.client import MonitoringController, SystemHealthMonitor
from botwatch.errors import BotwatchError, Fault, InvalidRecordError, UnavailableError

__all__ = [
    "BotwatchError",
    "Fault",
    "InvalidRecordError",
    "MonitoringController",
    "SystemHealthMonitor",
    "UnavailableError",
]
