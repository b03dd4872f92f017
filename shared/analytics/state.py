"""All that is kept of one bot's account. It serialises to JSON and comes back as it was, to the last bit."""

import msgspec

from shared.analytics.curve import EquityCurve
from shared.analytics.drawdown import Drawdown
from shared.analytics.execution import Orders
from shared.analytics.positions import PositionBook
from shared.analytics.returns import Returns
from shared.analytics.settings import AnalyticsSettings
from shared.analytics.trades import TradeStatistics
from shared.schema.records import Difference

VERSION = 3
"""A state of another version is made again from the events, as far back as they are kept."""
OLDEST_VERSION = 2
"""States from this version on can be read: they stand for the events that are gone."""


class AccountState(msgspec.Struct):
    """All that is kept of an account."""

    settings: AnalyticsSettings
    version: int = VERSION
    began: int = 0
    """The first event, epoch milliseconds."""
    head: tuple[int, int] = (0, 0)
    """The place of the latest event in the order of folding."""
    equity: float | None = None
    equity_began: int = 0
    equity_at: int = 0
    own_equity: bool = False
    """Whether equity records came; until then reported portfolio values stand in for them."""
    start: float = 0.0
    flows: float = 0.0
    """Since the start."""
    unrealized: float | None = None
    """As the latest equity point has it."""
    other: float = 0.0
    """What the equity earned beside the known fills, measured whenever no trade is under way: funding,
    interest, fees without a rate, trades from before the first record."""
    returns: Returns = msgspec.field(default_factory=Returns)
    drawdown: Drawdown = msgspec.field(default_factory=Drawdown)
    curve: EquityCurve = msgspec.field(default_factory=EquityCurve)
    book: PositionBook = msgspec.field(default_factory=PositionBook)
    trades: TradeStatistics = msgspec.field(default_factory=TradeStatistics)
    orders: Orders = msgspec.field(default_factory=Orders)
    compared_at: int = 0
    differences: dict[str, Difference] | None = None
    """None until figures could be compared."""
    differed: list[str] = []
    """Figures that differed at the comparison before; once may be a matter of moments."""

    def total(self, equity: float) -> float:
        """Return what the account earned when it is worth `equity`: equity - start - net flows."""
        return equity - self.start - self.flows
