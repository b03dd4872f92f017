"""Lots: the parts of a position by when they were opened, for FIFO and LIFO; and the learned lot size."""

import math
from functools import lru_cache
from typing import NamedTuple

MAX_LOTS = 500
"""Lots of a position; with more, the two oldest are merged."""
MAX_DECIMALS = 10
"""A quantity with more decimals is computed: what it was computed from counts, if rounding shows it."""
NOISE = 1e-12
"""Share of a quantity that rounding may change to show its decimals."""


class Lot(NamedTuple):
    """A part of a position."""

    quantity: float
    """Positive."""
    price: float
    opened_at: int
    """Epoch milliseconds."""
    fees: float


def add_lot(lots: list[Lot], lot: Lot, average: float) -> bool:
    """Append a lot; return whether the two oldest had to be merged, at the price `average`."""
    lots.append(lot)
    if len(lots) <= MAX_LOTS:
        return False
    first, second = lots[0], lots[1]
    lots[:2] = [Lot(first.quantity + second.quantity, average, first.opened_at, first.fees + second.fees)]
    return True


def take_lots(lots: list[Lot], quantity: float, *, newest_first: bool) -> list[Lot]:
    """Remove `quantity` from the oldest or newest lots and return what was taken of each."""
    taken = []
    while lots and quantity > 0:
        place = -1 if newest_first else 0
        lot = lots[place]
        share = min(lot.quantity, quantity)
        quantity -= share
        fees = lot.fees * (share / lot.quantity)
        taken.append(lot._replace(quantity=share, fees=fees))
        if share >= lot.quantity:
            del lots[place]
        else:
            lots[place] = lot._replace(quantity=lot.quantity - share, fees=lot.fees - fees)
    return taken


@lru_cache(maxsize=4096)
def decimals(quantity: float) -> int:
    """Return the number of decimals that `quantity` is written with, without float noise."""
    found = _decimals(quantity)
    if found <= MAX_DECIMALS:
        return found
    rounded = round(quantity, MAX_DECIMALS)
    return _decimals(rounded) if abs(rounded - quantity) <= NOISE * quantity else MAX_DECIMALS


def _decimals(quantity: float) -> int:
    text, _, exponent = repr(quantity).partition("e")
    return max(len(text.partition(".")[2].rstrip("0")) - int(exponent or 0), 0)


def lot_size_of(places: int) -> float:
    """Return the lot size of quantities with that many decimals."""
    return math.pow(10, -places)
