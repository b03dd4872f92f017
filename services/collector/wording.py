"""Wording: figures as people say them. Pure."""

_SPANS = ((86_400, "d"), (3_600, "h"), (60, "min"))
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024


def span(seconds: float) -> str:
    """Say how long: `5 s`, `12 min`, `3.5 h`, `12 d`."""
    for length, unit in _SPANS:
        if seconds >= length:
            return f"{round(seconds / length, 1):g} {unit}"
    return f"{max(seconds, 0):.0f} s"


def size(amount: float) -> str:
    """Say how much: `512 B`, `70 MiB`, `1.5 GiB`."""
    power = 0
    while amount >= _STEP and power < len(_SIZES) - 1:
        amount /= _STEP
        power += 1
    return f"{round(amount, 1):g} {_SIZES[power]}"
