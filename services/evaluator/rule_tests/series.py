"""Series notation of rule tests, as in promtool. Pure.

`5` is one value and `_` a missing one; `5x3` is 5 and three more of it, `5+2x3` is 5 7 9 11, `5-2x3` is 5 3 1
-1, and `_x3` is three missing ones.
"""

import re

MAX_VALUES = 100_000
"""Maximum number of values in one series; a typo must not exhaust memory."""

_NUMBER = r"[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?"
_WORD = re.compile(rf"(?P<first>_|[+-]?{_NUMBER})(?P<more>(?P<step>[+-]{_NUMBER})?x(?P<times>[0-9]{{1,9}}))?")


def parse_series(series: str) -> list[float | None]:
    """Return the values of a series, None for missing ones; ValueError names the invalid part."""
    values: list[float | None] = []
    for word in series.split():
        values += _expand_word(word, MAX_VALUES - len(values))
    return values


def _expand_word(word: str, room: int) -> list[float | None]:
    found = _WORD.fullmatch(word)
    if not found or (found["first"] == "_" and found["step"]):
        raise ValueError(f"expected values such as 1, 1x4, 1+2x4, _ or _x3, got {word!r}")
    times = int(found["times"] or 0)
    if times >= room:
        raise ValueError(f"expected at most {MAX_VALUES} values, got more with {word!r}")
    if found["first"] == "_":
        return [None] * (times if found["more"] else 1)
    first, step = float(found["first"]), float(found["step"] or 0)
    return [first + step * i for i in range(times + 1)]
