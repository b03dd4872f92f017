"""Account state: everything kept of one bot's account; its JSON restores it to the last bit."""

from typing import Any

import msgspec

from shared.analytics.benchmark import Benchmark
from shared.analytics.costs import TradingCosts
from shared.analytics.curve import EquityCurve
from shared.analytics.drawdown import Drawdown, upgraded_drawdown
from shared.analytics.execution import Orders
from shared.analytics.flows import PendingFlows
from shared.analytics.hidden_positions import HiddenPositions
from shared.analytics.opening import OpeningCheck
from shared.analytics.positions import PositionBook, upgraded_positions
from shared.analytics.rates import Conversions
from shared.analytics.reported_trades import ReportedTrades
from shared.analytics.returns import Returns, upgraded_returns
from shared.analytics.settings import AnalyticsSettings
from shared.analytics.symbols import common_code
from shared.analytics.trades import TradeStatistics
from shared.schema.records import Difference

VERSION = 5
"""States of other versions are recomputed from the events, as far back as these are kept."""
ACCOUNTS_VERSION = 4
"""States before this version have neither legs nor lots, nor figures of flows and drawdowns by day."""
OLDEST_VERSION = 2
"""States from this version on can be read: they cover events that are deleted."""


class AccountState(msgspec.Struct):
    """Everything kept of an account."""

    settings: AnalyticsSettings
    version: int = VERSION
    began: int = 0
    """Time of the first event, epoch milliseconds."""
    head: tuple[int, int, int] = (0, 0, 0)
    """Order of the latest event (see `event_order`)."""
    equity: float | None = None
    equity_began: int = 0
    equity_at: int = 0
    own_equity: bool = False
    """Whether equity records arrived; before, reported portfolio values are used."""
    start: float = 0.0
    flows: float = 0.0
    """Net flows since the start, up to the latest equity point."""
    pending_flows: PendingFlows = msgspec.field(default_factory=PendingFlows)
    unconverted_flows: bool = False
    """Whether a flow in another currency has no rate: `flows` is an estimate."""
    unrealized: float | None = None
    """Unrealised P&L of the latest equity point."""
    other: float = 0.0
    """P&L in the equity beyond the known fills, measured whenever no trade is open: funding, interest, fees
    of unknown rate, trades from before the first record."""
    returns: Returns = msgspec.field(default_factory=Returns)
    drawdown: Drawdown = msgspec.field(default_factory=Drawdown)
    benchmark: Benchmark = msgspec.field(default_factory=Benchmark)
    curve: EquityCurve = msgspec.field(default_factory=EquityCurve)
    book: PositionBook = msgspec.field(default_factory=PositionBook)
    trades: TradeStatistics = msgspec.field(default_factory=TradeStatistics)
    costs: TradingCosts = msgspec.field(default_factory=TradingCosts)
    opening: OpeningCheck = msgspec.field(default_factory=OpeningCheck)
    hidden: HiddenPositions = msgspec.field(default_factory=HiddenPositions)
    reported: ReportedTrades = msgspec.field(default_factory=ReportedTrades)
    margin_used: float | None = None
    """Initial margin of all positions, as in the latest equity record, account currency."""
    maintenance_margin: float | None = None
    orders: Orders = msgspec.field(default_factory=Orders)
    conversions: Conversions = msgspec.field(default_factory=Conversions)
    reported_currency: str | None = None
    """Currency of the latest equity point that has one."""
    guessed_currency: str | None = None
    """Currency in which the first symbol that says one is settled; used until another is known."""
    relied_on_guess: bool = False
    """Whether an amount had to be converted to the guessed currency: then it matters whether it is right."""
    compared_at: int = 0
    differences: dict[str, Difference] | None = None
    """None until metrics could be compared."""
    differed: list[str] = []
    """Metrics that differed at the previous comparison; differing once may be a matter of timing."""

    def account_currency(self) -> str | None:
        """Return the account's currency: as set, else as last reported, else guessed; None if unknown."""
        return common_code(self.settings.currency or self.reported_currency) or self.guessed_currency

    @property
    def is_opening_unknown(self) -> bool:
        """Whether the fills contradict the equity: a position was held before the first record."""
        return self.opening.is_unknown or self.hidden.is_found

    @property
    def is_currency_guessed(self) -> bool:
        """Whether nothing says what the account's currency is, except symbols."""
        return self.settings.currency is None and self.reported_currency is None

    @property
    def is_guess_doubtful(self) -> bool:
        """Whether amounts were converted to a guessed currency that nothing has confirmed."""
        return self.relied_on_guess and (
            self.is_currency_guessed or self.account_currency() != self.guessed_currency
        )

    def total(self, equity: float) -> float:
        """Return the total P&L at `equity`: equity - start - net flows."""
        return equity - self.start - self.flows


def upgraded(state: Any) -> Any:  # noqa: ANN401 - decoded JSON
    """Return the decoded JSON of a state of an older version as this version has it.

    KeyError or TypeError if it is none.
    """
    head = state.get("head") if isinstance(state, dict) else None
    if isinstance(head, list) and len(head) == len(("at", "rank")):
        # Any further event of that millisecond may come.
        state["head"] = [head[0], 0, 10 * head[1]]
    is_old = isinstance(state, dict) and state["version"] < ACCOUNTS_VERSION
    if is_old:
        upgraded_positions(state["book"])
    if is_old and state["equity"] is not None:
        upgraded_returns(state["returns"])
        total = state["equity"] - state["start"] - state["flows"]
        upgraded_drawdown(state["drawdown"], state["equity_at"], state["equity"], total)
    return state
