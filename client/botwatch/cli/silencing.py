"""Silences: the matchers that are typed, what they mute, and creating one."""

import re
from datetime import UTC, datetime
from typing import Annotated, NamedTuple

import typer

from botwatch.cli.acting import act
from botwatch.cli.api_command import Api
from botwatch.cli.formatting import clock, parse_duration
from botwatch.cli.output import print_fields
from botwatch.typed_json import Document

PATH = "/api/monitoring/silences"
For = Annotated[str, typer.Option("--for", metavar="2h", help="How long: 30m, 2h, 1d12h.")]
Comment = Annotated[str, typer.Option("--comment", "-c", help="Why.", show_default="what it mutes")]
_MATCHER = re.compile(r"([a-zA-Z_]\w*)(=~|!~|!=|=)(.*)", re.ASCII | re.DOTALL)


class Matcher(NamedTuple):
    """A matcher of labels, as Alertmanager writes them: `bot=~"scalper-.*"`."""

    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True

    def __str__(self) -> str:
        operator = {(False, True): "=", (False, False): "!=", (True, True): "=~", (True, False): "!~"}
        return f"{self.name}{operator[self.is_regex, self.is_equal]}{self.value}"

    def body(self) -> Document:
        """Return the matcher as the API reads it."""
        return {
            "name": self.name,
            "value": self.value,
            "isRegex": self.is_regex,
            "isEqual": self.is_equal,
        }


def parse_matcher(text: str) -> Matcher:
    """Return a matcher that is typed: `bot=alpha`, `severity!=LOW`, `bot=~scalper-.*`, `rule!~cpu.*`."""
    found = _MATCHER.fullmatch(text)
    if not found:
        raise typer.BadParameter(
            f"expected a matcher such as bot=alpha, severity!=LOW or 'bot=~scalper-.*', got {text!r}",
            param_hint="MATCHER",
        )
    name, operator, value = found.groups()
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return Matcher(name, value, operator.endswith("~"), not operator.startswith("!"))


def read_matcher(body: Document) -> Matcher:
    """Return a matcher of the API."""
    return Matcher(body["name"], body["value"], body.get("isRegex", False), body.get("isEqual", True))


def end_after(length: str) -> datetime:
    """Return when a silence of `length` from now on ends; BadParameter if it is no duration."""
    try:
        return datetime.now(UTC) + parse_duration(length)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(str(error), param_hint="--for") from error


def create_silence(api: Api, matchers: list[Matcher], length: str, comment: str, by: str) -> Document:
    """Create a silence from now on, for `length`, and return it."""
    ends = end_after(length)
    body = {
        "matchers": [one.body() for one in matchers],
        "endsAt": ends.isoformat(timespec="milliseconds"),
        "comment": comment,
    }
    return act(lambda name: api.post(PATH, body | ({"createdBy": name} if name else {}), Document), by)


def describe_silence(silence: Document, now: datetime) -> None:
    """Print a silence in full."""
    print_fields(
        {
            "silence": silence["id"],
            "mutes": " ".join(str(read_matcher(one)) for one in silence["matchers"]),
            "from": clock(silence["startsAt"], now),
            "until": clock(silence["endsAt"], now),
            "by": silence["createdBy"],
            "comment": silence["comment"],
            "ended by": silence.get("endedBy"),
            "state": silence["status"]["state"],
            "error": silence["status"].get("error"),
        }
    )
