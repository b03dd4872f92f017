"""Wording: figures as people say them. Pure."""

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024


def format_bytes(amount: float) -> str:
    """Say how much: `512 B`, `70 MiB`, `1.5 GiB`."""
    power = 0
    while amount >= _STEP and power < len(_SIZES) - 1:
        amount /= _STEP
        power += 1
    return f"{round(amount, 1):g} {_SIZES[power]}"
