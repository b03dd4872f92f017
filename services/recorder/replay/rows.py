"""Rows of a file: reading one value each, and what was wrong with which. Pure."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.analytics.events import TradingEvent
from shared.schema.faults import Fault
from shared.schema.timestamps import epoch_ms, from_wire

MAX_FAULTS = 10
"""Wrong rows beyond these are only counted."""
MAX_QUOTED = 60
_SPACES = re.compile(r"[\s\u00a0\u202f']")
"""What groups the digits of a number; a comma may also be a decimal point, so it is refused."""
_SECONDS, _MILLISECONDS = 10, 13
"""Digits of a time since 1970 in the years 2001 to 2286."""
_EPOCH = re.compile(r"(?P<whole>\d{10}|\d{13})(?:\.(?P<fraction>\d+))?")
_DATE = re.compile(r"(?P<year>\d{4})[-./](?P<month>\d{2})[-./](?P<day>\d{2})(?P<rest>$|[T ].*)")
TIME_EXPECTED = "expected a time such as 2026-01-31 12:00:00, 2026-01-31T12:00:00Z or epoch milliseconds"


class FoundEvent(NamedTuple):
    """An event of a file, and the bot that it names; None: the file names none."""

    bot: str | None
    event: TradingEvent
    identity: int | None = None
    """Equal for events that are the same one twice; None if the file does not identify them."""


class FileDefaults(NamedTuple):
    """Settings of the account that a file has itself."""

    currency: str | None = None
    start_equity: float | None = None


@dataclass
class ReadReport:
    """What was read of a file, what is wrong with it, and how it was understood."""

    file: str
    format: str = ""
    rows: int = 0
    wrong: int = 0
    faults: list[Fault] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    """Sentences for the user, each once, in order."""
    without_zone: bool = False
    """Whether a time had no zone."""

    def reject(self, place: str, message: str) -> None:
        """Count a wrong row; the first ones are described. `place` is its line and column, or JSON path."""
        self.wrong += 1
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(f"{self.file}: {place}", message))

    def note(self, sentence: str) -> None:
        """Add a sentence for the user."""
        self.notes[sentence] = None


class ValueFault(ValueError):  # noqa: N818 - one fault of a value
    """A value cannot be read; the message says what was expected."""


def parse_number(text: str) -> float:
    """Return a number with a decimal point; its digits may be grouped by spaces. Raises ValueFault."""
    try:
        number = float(text)
    except ValueError:
        try:
            number = float(_SPACES.sub("", text))
        except ValueError:
            hint = " (a decimal point, no commas)" if "," in text else ""
            raise ValueFault(f"expected a number{hint}, got {quote(text)}") from None
    if "_" in text:  # Python's notation
        raise ValueFault(f"expected a number, got {quote(text)}")
    if not math.isfinite(number):
        raise ValueFault(f"expected a finite number, got {quote(text)}")
    return number


def parse_time(text: str, zone: ZoneInfo, report: ReadReport) -> int:
    """Return epoch milliseconds of ISO-8601, `2026.01.31 12:00`, or epoch seconds or milliseconds.

    A time without a zone is in `zone`. Days before months and the like are refused: 3/4 may be March or
    April. Raises ValueFault.
    """
    text = text.strip()
    expected = f"{TIME_EXPECTED}, got {quote(text)}"
    found = _DATE.fullmatch(text)
    epoch = _EPOCH.fullmatch(text)
    if not found and not epoch:
        raise ValueFault(expected)
    try:
        if epoch:
            return epoch_ms(from_wire(_epoch_milliseconds(epoch["whole"], epoch["fraction"] or "")))
        moment = datetime.fromisoformat(_DATE.sub(r"\g<year>-\g<month>-\g<day>\g<rest>", text))
        if moment.tzinfo is None:
            report.without_zone = True
            moment = moment.replace(tzinfo=zone)
        return epoch_ms(from_wire(moment.astimezone(UTC)))
    except (ValueError, OverflowError) as error:
        reason = str(error)
        raise ValueFault(reason if reason.startswith("expected") else expected) from None


def _epoch_milliseconds(whole: str, fraction: str) -> int:
    if len(whole) == _MILLISECONDS:
        return int(whole)
    return int(whole) * 1000 + int(f"{fraction}000"[:3])


def first_of(names: Sequence[str], columns: Sequence[str]) -> str | None:
    """Return the first of `names` that is a column."""
    return next((name for name in names if name in columns), None)


def quote(value: object) -> str:
    """Return a value for a message, shortened."""
    text = repr(value)
    return text if len(text) <= MAX_QUOTED else f"{text[: MAX_QUOTED - 1]}…"
