"""Structured logs on standard error: JSON lines in containers, readable lines natively."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from shared.runtime.settings import PartSettings
from shared.schema.terminal_escaping import escape_controls

_CREDENTIALS = re.compile(r"\b(?P<scheme>\w+://)[^/\s]+@")


def configure_logging(part: str, settings: PartSettings) -> None:
    """Send structlog's and the standard library's logs to standard error in the format of `settings`."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]

    def name_part(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {**event, "part": part}

    shared: list[structlog.typing.Processor] = [
        name_part,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact,
    ]
    renderer: structlog.typing.Processor
    if settings.log_format == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), sort_keys=False)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)


def redact_credentials(text: str) -> str:
    """Replace the user and password of every URL in `text`."""
    return _CREDENTIALS.sub(r"\g<scheme>***@", text)


def _redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            # A traceback has several lines; its content is escaped line by line.
            lines = value.split("\n") if key == "exception" else [value]
            event[key] = redact_credentials("\n".join(map(escape_controls, lines)))
    return event
