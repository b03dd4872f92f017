"""A `logging.Handler`: what the bot logs becomes events in Botwatch."""

import logging
from typing import TYPE_CHECKING, Literal

from botwatch.errors import BotwatchError

if TYPE_CHECKING:
    from botwatch.record_methods import RecordMethods

MAX_TITLE, MAX_TEXT = 256, 4096
LEVELS: tuple[tuple[int, Literal["error", "warning", "info"]], ...] = (
    (logging.ERROR, "error"),
    (logging.WARNING, "warning"),
    (logging.INFO, "info"),
)


class EventHandler(logging.Handler):
    """Logs records of `level` and above as events; never waits, never raises.

    The title is the first line of the message; the text has the rest, the logger's name and the traceback.
    Botwatch's own messages are left out.
    """

    def __init__(self, monitor: "RecordMethods", level: int = logging.WARNING) -> None:
        super().__init__(level)
        self._monitor = monitor

    def emit(self, record: logging.LogRecord) -> None:
        """Log one event."""
        if record.name.partition(".")[0] == "botwatch":
            return
        try:
            title, _, rest = record.getMessage().partition("\n")
            trace = self._traceback(record)
            text = "\n".join(part for part in (rest, f"logger {record.name}", trace) if part)
            level = next((name for least, name in LEVELS if record.levelno >= least), "debug")
            self._monitor.log_event(
                (title.strip() or record.levelname)[:MAX_TITLE],
                text if len(text) <= MAX_TEXT else f"…{text[1 - MAX_TEXT :]}",
                level=level,  # type: ignore[arg-type] # one of the four
            )
        except (BotwatchError, ValueError, TypeError):
            self.handleError(record)

    def _traceback(self, record: logging.LogRecord) -> str:
        if not record.exc_info:
            return ""
        return (self.formatter or logging.Formatter()).formatException(record.exc_info)
