"""Hidden positions: whether price moves explain the P&L that the fills do not.

A position that no fill tells of shows in the equity as a constant quantity times its symbol's price move. So
the unexplained P&L of successive segments, each long enough for a price to move, is regressed on the price
moves of the traded symbols. What else may be wrong in an honest account is a regressor before them: a
constant cost, unrealised P&L or positions that the equity leaves out, a scale that differs, fees by traded
notional, and the rates of other currencies. Every segment has the same weight, so that a single one, such as
a deposit that no record tells, decides nothing. Source: Botwatch's own choice.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from shared.analytics.positions import PositionBook
from shared.analytics.regression import Regression

MOST_SYMBOLS = 12
"""Symbols of an examination; further ones have their turn in the next."""
MOVES = 2e-3, 1e-2, 5e-2
"""A segment ends when a price has moved by this share of it; larger ones stand out from late prices."""
FRESH_MS = 60_000
"""A segment ends only while the prices of all open positions are at most this old."""
LOOK_MS, LONGEST_WAIT_MS = 10_000, 3_600_000
"""Time between two looks at an account; it doubles while prices are too old."""
EXPLAINED = 0.95
"""Share of the unexplained P&L that price moves must explain."""
SPARE = 12
"""Segments beyond the number of regressors, and three more for each symbol, after which it is judged."""
KNOWN = 5
"""Regressors that every account has: a constant, and the causes without rates."""
MIN_SHARE = 0.1
"""Hidden positions below this share of the largest position are fees, funding and rounding."""
MIN_EQUITY_SHARE = 1e-3
"""So are those below this share of the equity."""
MIN_RANGE = 3.0
"""Over all segments, a price must have moved by this times the mean move of one: not only to and fro."""
DISTINCT = 0.05
"""Share of a symbol's price moves that must not be explained by the regressors before it."""
LONGEST_PAUSE_MS = 7 * 86_400_000


class Account(NamedTuple):
    """What is known of an account at one time, account currency."""

    at: int
    """Epoch milliseconds."""
    equity: float
    pnl: float
    """Total P&L."""
    traded: float
    """Traded notional so far."""
    book: PositionBook
    currency: str | None
    rate_of: Callable[[str | None], float | None]
    """Returns the rate from a currency to the account's; None while it is unknown."""


class Look(NamedTuple):
    """An account at one time, account currency."""

    unexplained: float
    """Total P&L minus that of the fills, fees and funding."""
    causes: tuple[float, ...]
    """What may explain it in an honest account: unrealised P&L, gross P&L, net notional and traded notional
    of the fills, then the rates of other currencies."""


class HiddenPositions(msgspec.Struct):
    """Examines an account at its equity points, less and less often while nothing is found."""

    is_found: bool = False
    next_at: int = 0
    """When the next look is due, epoch milliseconds."""
    wait_ms: int = LOOK_MS
    """Time until then, unless the next look comes to something."""
    begun_at: int = 0
    """When the examination began."""
    pause_ms: int = 0
    """The latest pause between two examinations."""
    level: int = 0
    """Which of `MOVES` ends a segment."""
    turn: int = 0
    """Number of symbols that had their turn."""
    traded: int = 0
    """Number of positions ever known when the examination began."""
    prices: dict[str, float] = {}
    """Prices of the examined symbols when the latest segment ended."""
    currencies: list[str] = []
    """Other currencies that these are settled in."""
    last: Look | None = None
    """When the latest segment ended."""
    lowest: dict[str, float] = {}
    """Lowest and highest price of each symbol at the end of a segment."""
    highest: dict[str, float] = {}
    moved: float = 0.0
    """Sum of the segments' moves, as shares of a price."""
    regression: Regression = msgspec.field(default_factory=Regression)
    largest: float = 0.0
    """Largest notional of a position."""

    def apply(self, account: Account) -> None:
        """Look at an account when it has equity."""
        book = account.book
        if len(book.places) > self.traded and len(self.prices) < MOST_SYMBOLS:
            self._restart()
        if self.last is not None and not self._has_moved(book.prices):
            return
        self.next_at = account.at + self.wait_ms
        self.wait_ms = min(2 * self.wait_ms, LONGEST_WAIT_MS)
        if any(account.at - held.priced_at > FRESH_MS for held in book.open_positions()):
            return
        if self.last is None:
            self._choose(account)
        look = self._look(account) if self.prices else None
        if look is None:
            return
        if self.last is None:
            self.begun_at = account.at
        else:
            self._end_segment(self.last, look, account)
        self.last, self.wait_ms, self.next_at = look, LOOK_MS, account.at + LOOK_MS
        self.prices = {symbol: book.prices[symbol] for symbol in self.prices}
        self._judge(account)

    def _restart(self) -> None:
        self.last, self.regression = None, Regression()
        self.lowest, self.highest, self.moved = {}, {}, 0.0

    def _has_moved(self, prices: dict[str, float]) -> bool:
        least = MOVES[self.level]
        for symbol, before in self.prices.items():
            if abs(prices.get(symbol, before) - before) > least * before:
                return True
        return False

    def _choose(self, account: Account) -> None:
        """Choose the symbols of an examination: those that were traded, in turn."""
        book = account.book
        self.traded = len(book.places)
        traded = list(dict.fromkeys(key.partition("\n")[0] for key in book.places))
        first = self.turn % len(traded) if traded else 0
        chosen = (traded[first:] + traded[:first])[:MOST_SYMBOLS]
        self.prices = {symbol: price for symbol in chosen if (price := book.prices.get(symbol, 0.0)) > 0}
        contracts = [book.contract(symbol) for symbol in self.prices]
        # A position of the account's own currency, such as USD/JPY in dollars, is one in the other currency.
        known = {None, account.currency, *(one.money for one in contracts if one.base == account.currency)}
        self.currencies = sorted({one.money for one in contracts if one.money} - known)

    def _look(self, account: Account) -> Look | None:
        """Return the account now; None while a rate or a price is unknown."""
        book, rate_of = account.book, account.rate_of
        unrealized = net = 0.0
        for held in book.open_positions():
            contract, price = book.contract(held.symbol), book.prices.get(held.symbol)
            rate = rate_of(contract.money)
            if rate is None or price is None:
                return None
            unrealized += contract.pnl(held.quantity, held.cost, price) * rate
            notional = contract.notional(held.quantity, price) * rate
            net += notional
            self.largest = max(self.largest, abs(notional))
        rates = [rate for money in self.currencies if (rate := rate_of(money)) is not None]
        if len(rates) < len(self.currencies) or not all(symbol in book.prices for symbol in self.prices):
            return None
        causes = unrealized, book.earned + unrealized, net, account.traded, *rates
        return Look(account.pnl - book.realized() - unrealized, causes)

    def _end_segment(self, before: Look, now: Look, account: Account) -> None:
        """Add the changes since the segment began, over the largest move of a price."""
        moves, move = [], 0.0
        for symbol, price in self.prices.items():
            contract, latest = account.book.contract(symbol), account.book.prices[symbol]
            moves.append(contract.pnl(1.0, price, latest) * (account.rate_of(contract.money) or 0.0))
            move = max(move, abs(latest - price) / price)
            self.lowest[symbol] = min(self.lowest.get(symbol, price), latest)
            self.highest[symbol] = max(self.highest.get(symbol, price), latest)
        self.moved += move
        causes = [latest - earlier for latest, earlier in zip(now.causes, before.causes, strict=True)]
        row = 1.0, *causes, *moves, now.unexplained - before.unexplained
        self.regression.add([amount / move for amount in row])

    def _judge(self, account: Account) -> None:
        """Decide after enough segments; then go on with larger moves, or pause."""
        known, symbols, rows = KNOWN + len(self.currencies), len(self.prices), self.regression.rows
        if rows < known + symbols + SPARE + 3 * symbols:
            return
        before, after = self.regression.residuals(known, DISTINCT)
        least = rows * max(MIN_SHARE * self.largest, MIN_EQUITY_SHARE * abs(account.equity)) ** 2
        reach = max(high / self.lowest[symbol] - 1 for symbol, high in self.highest.items())
        is_clear = before - after > least and after <= (1 - EXPLAINED) * before
        self.is_found = is_clear and reach > MIN_RANGE * self.moved / rows
        self._restart()
        self.level = (self.level + 1) % len(MOVES) if before > least else 0
        if not self.level:
            self._pause(account.at)

    def _pause(self, at: int) -> None:
        self.pause_ms = min(max(2 * self.pause_ms, at - self.begun_at), LONGEST_PAUSE_MS)
        self.next_at, self.turn = at + self.pause_ms, self.turn + len(self.prices)
