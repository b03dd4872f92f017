"""The parameters of a query string, read one by one. Every fault is named."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, TypeVar

from msgspec import Meta

from shared.runtime.web.csv import FORMATS, is_csv_requested
from shared.runtime.web.pagination import decode_cursor
from shared.schema.faults import Fault, InvalidError, did_you_mean
from shared.schema.timestamps import EARLIEST, from_wire
from shared.store.time_buckets import HOUR, MINUTE, TimeBuckets

T = TypeVar("T")
W = TypeVar("W", bound=str)

MAX_LIMIT = 1000
Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT)]
"""How many items of a list are wanted; the types of parameters are for `describe`."""
Name = Annotated[str, Meta(min_length=1)]
Moment = Annotated[
    Annotated[
        str,
        Meta(
            pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$"
        ),
    ]
    | Annotated[int, Meta(ge=946_684_800_000, le=4_102_444_799_999)],
    Meta(description="ISO-8601 with a zone, or epoch milliseconds; of the years 2000 to 2099."),
]
Step = Annotated[
    str,
    Meta(
        pattern=r"^[1-9][0-9]{0,8}[smhd]?$",
        description="Seconds, or a width such as `30s`, `5m`, `1h`, `1d`; whole minutes above one, whole "
        "hours above one hour.",
    ),
]
MAX_STEPS = 5000
DEFAULT_MAX_STEPS = 500
"""As many as a chart can show, where no width is asked for."""
DEFAULT_SPAN = timedelta(hours=1)
MAX_NUMBER = 20
"""Digits."""

_UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
_WIDTH = re.compile(r"([0-9]{1,9})([smhd]?)")
_WIDTHS = tuple(
    timedelta(seconds=number * _UNITS[unit])
    for unit, numbers in (
        ("s", (1, 2, 5, 10, 15, 30)),
        ("m", (1, 2, 5, 10, 15, 30)),
        ("h", (1, 2, 3, 6, 12)),
        ("d", (1, 2, 5, 10, 20, 50, 100)),
    )
    for number in numbers
)
"""From which a width is taken where none is asked for."""


def some_of(words: Sequence[str]) -> object:
    """Return the type of a comma list of words."""
    either = "|".join(words)
    return Annotated[str, Meta(pattern=f"^({either})(,({either}))*$")]


class QueryParameters:
    """A query string that is being read; `faults` has what is wrong with it so far."""

    def __init__(self, given: Mapping[str, str], known: Collection[str]) -> None:
        self._given = given
        self.faults: list[Fault] = []
        for name in given:
            if name not in known:
                self.add_error(name, f"unknown parameter{did_you_mean(name, known)}")

    def add_error(self, name: str, message: str) -> None:
        """Add a fault."""
        self.faults.append(Fault(name, message))

    def check(self) -> None:
        """Raise InvalidError when there are faults."""
        if self.faults:
            raise InvalidError(self.faults)

    def text(self, name: str) -> str | None:
        """Return a parameter; one that is empty is none."""
        return self._given.get(name) or None

    def required(self, name: str) -> str:
        """Return a parameter that must be there."""
        value = self.text(name)
        if value is None:
            self.add_error(name, "required, but missing")
        return value or ""

    def number(self, name: str, most: int) -> int | None:
        """Return a whole number from 1 on."""
        text = self.text(name)
        if text is None:
            return None
        if _is_number(text) and 1 <= int(text) <= most:
            return int(text)
        self.add_error(name, f"expected a whole number from 1 to {most}, got {text!r}")
        return None

    def choice(self, name: str, known: Sequence[str]) -> tuple[str, ...]:
        """Return the words of a comma list, each once; all that are known where it is not given."""
        given = self.text(name)
        words = known if given is None else [word.strip() for word in given.split(",")]
        for word in words:
            if word not in known:
                self.add_error(name, f"unknown name {word!r}{did_you_mean(word, known)}")
        return tuple(dict.fromkeys(words))

    def several(self, name: str) -> list[str]:
        """Return the values of a comma list, each once; none where it is not given."""
        words = (word.strip() for word in (self._given.get(name) or "").split(","))
        return [*dict.fromkeys(word for word in words if word)]

    def one_of(self, name: str, known: Sequence[W]) -> W | None:
        """Return one of the `known` words; None where it is not given."""
        text = self.text(name)
        found = next((word for word in known if word == text), None)
        if text and found is None:
            self.add_error(name, f"expected one of {', '.join(known)}, got {text!r}")
        return found

    def is_csv(self) -> bool:
        """Say whether a table is wanted as CSV: by `format`, else by the header `Accept`."""
        return is_csv_requested(self.one_of("format", FORMATS))

    def cursor(self, kind: type[T], name: str = "cursor") -> T | None:
        """Return the position that a cursor stands for; None for the first page."""
        text = self.text(name)
        if text is None:
            return None
        try:
            return decode_cursor(text, kind)
        except ValueError:
            self.add_error(name, f"expected the cursor of a `Link` header, got {text!r}")
            return None

    def timestamp(self, name: str) -> datetime | None:
        """Return a moment: ISO-8601 with a zone, or epoch milliseconds."""
        text = self.text(name)
        if text is None:
            return None
        try:
            return from_wire(_parse_time(text))
        except ValueError:
            expected = "expected ISO-8601 with a zone or epoch milliseconds, of the years 2000 to 2099"
            self.add_error(name, f"{expected}; got {text!r}")
            return None

    def time_buckets(
        self,
        now: datetime,
        least: timedelta,
        *,
        most: timedelta = _WIDTHS[-1],
        span: timedelta = DEFAULT_SPAN,
        number: int = DEFAULT_MAX_STEPS,
    ) -> TimeBuckets:
        """Return the steps that `from`, `to` and `step` mean.

        `least` and `most` are the narrowest and the widest that can be had; `span` is the default range,
        `number` how many there are at most by default.
        """
        until = self.timestamp("to") or now
        since = self.timestamp("from") or max(until - span, EARLIEST)
        if since > until:
            self.add_error("from", "expected a time before `to`")
            since = until
        possible = [TimeBuckets.covering(since, until, width) for width in _WIDTHS if least <= width <= most]
        width = self._width(least, most)
        if width is None:
            few = (steps for steps in possible if steps.bucket_count <= number)
            width = next(few, possible[-1]).width
        steps = TimeBuckets.covering(since, until, width)
        if steps.bucket_count > MAX_STEPS:
            expected = f"expected at most {MAX_STEPS} steps, got {steps.bucket_count}"
            enough = next((steps.width for steps in possible if steps.bucket_count <= MAX_STEPS), None)
            instead = f"use {_format_width(enough)} or more" if enough else "use a later `from`"
            self.add_error("step" if enough else "from", f"{expected}; {instead}")
        return steps

    def _width(self, least: timedelta, most: timedelta) -> timedelta | None:
        text = self.text("step")
        if text is None:
            return None
        found = _WIDTH.fullmatch(text)
        width = timedelta(seconds=int(found[1]) * _UNITS[found[2] or "s"]) if found else None
        if width is None or not least <= width <= most:
            ends = f"{_format_width(least)} to {_format_width(most)}"
            self.add_error(
                "step", f"expected seconds, or a width like 30s, 5m, 1h, 1d, from {ends}; got {text!r}"
            )
            return None
        if (width > MINUTE and width % MINUTE) or (width > HOUR and width % HOUR):
            expected = "expected whole minutes from 1m on and whole hours from 1h on"
            self.add_error("step", f"{expected}; got {text!r}")
            return None
        return width


def _is_number(text: str) -> bool:
    """Say whether a text is a whole number short enough to be read: Python takes long for very long ones."""
    return text.isascii() and text.isdecimal() and len(text) <= MAX_NUMBER


def _parse_time(text: str) -> datetime | int:
    if _is_number(text):
        return int(text)
    # In an address a `+` means a blank, unless it is written %2B.
    moment = datetime.fromisoformat(text[:-6] + text[-6:].replace(" ", "+"))
    if moment.tzinfo is None:
        raise ValueError("expected a zone")
    return moment


def _format_width(width: timedelta) -> str:
    seconds = int(width.total_seconds())
    unit, size = next((unit, size) for unit, size in _UNITS.items() if seconds % size == 0)
    return f"{seconds // size}{unit}"
