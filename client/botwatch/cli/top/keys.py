"""Keys from what a terminal sends. Pure."""

import re

ESCAPE, ENTER, TAB, BACKSPACE = "escape", "enter", "tab", "backspace"
UP, DOWN, PAGE_UP, PAGE_DOWN, HOME, END = "up", "down", "page up", "page down", "home", "end"
_NAMES = {
    **{f"\x1b{start}A": UP for start in "[O"},
    **{f"\x1b{start}B": DOWN for start in "[O"},
    **{f"\x1b{start}H": HOME for start in "[O"},
    **{f"\x1b{start}F": END for start in "[O"},
    "\x1b[5~": PAGE_UP,
    "\x1b[6~": PAGE_DOWN,
    "\x1b": ESCAPE,
    "\r": ENTER,
    "\n": ENTER,
    "\t": TAB,
    "\x7f": BACKSPACE,
    "\b": BACKSPACE,
}
_KEY = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]|.", re.DOTALL)


def parse_keys(text: str) -> list[str]:
    """Return the keys in what a terminal sent: names of special ones, printable letters as they are."""
    keys = (_NAMES.get(one, one) for one in _KEY.findall(text))
    return [one for one in keys if one.isprintable()]
