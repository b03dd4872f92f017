"""Presets: the public addresses of large exchanges by name, from exchanges.json beside this file.

Each entry names the page of the exchange's documentation that it comes from. Where an exchange says how its
WebSocket is to be pinged, `ping` is what it wants to read; elsewhere a ping of the protocol does.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path

import msgspec

from shared.runtime.config.check_sections import ExchangeSection, Url, WebSocketUrl
from shared.runtime.config.notifications import Name

_FILE = Path(__file__).with_name("exchanges.json")
_FILLED = ("rest", "time", "time_path", "web_socket", "status_page")
"""What a section takes from the preset unless it sets it."""


class Preset(msgspec.Struct, kw_only=True, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Where an exchange is reached without an account."""

    source: Url
    """The page that says so."""
    aliases: tuple[Name, ...] = ()
    rest: Url | None = None
    time: Url | None = None
    time_path: str | None = None
    web_socket: WebSocketUrl | None = None
    ping: str | None = None
    """A message that is answered with one that has `pong` in it."""
    status_page: Url | None = None


@cache
def presets() -> Mapping[str, Preset]:
    """Return every preset by its name."""
    return msgspec.json.decode(_FILE.read_bytes(), type=dict[Name, Preset])


def apply_preset(name: str, section: ExchangeSection) -> ExchangeSection:
    """Fill in from the preset what the section of the exchange `name` leaves out.

    Raises ValueError for a name that no preset has where no address is given, with the nearest name.
    """
    known = _canonical(section.preset or name)
    if known:
        preset = presets()[known]
        given = {field: getattr(section, field) or getattr(preset, field) for field in _FILLED}
        section = msgspec.structs.replace(section, preset=known, **given)
    elif section.preset or not (section.rest or section.time or section.web_socket):
        raise ValueError(_unknown_exchange(section.preset or name))
    if section.time and section.time_path is None:
        raise ValueError(
            "`timePath`: expected the path of the time in the response of `time`, such as data.time"
        )
    return section


def ping_message(section: ExchangeSection) -> str | None:
    """Return how the WebSocket of a completed section wants to be pinged; None: as the protocol does."""
    preset = presets().get(section.preset or "")
    return preset.ping if preset else None


def _canonical(name: str) -> str | None:
    """Return the preset's name: `Binance US`, `binanceus` and `binance-us` are one."""
    return _names().get(_normalize(name))


@cache
def _names() -> Mapping[str, str]:
    return {_normalize(name): own for own, preset in presets().items() for name in (own, *preset.aliases)}


def _normalize(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def _unknown_exchange(name: str) -> str:
    nearest = get_close_matches(_normalize(name), _names(), n=1)
    hint = f"; did you mean {_names()[nearest[0]]!r}?" if nearest else ""
    return f"`preset`: unknown exchange {name!r}; expected `rest`, `time` or `webSocket`{hint}"
