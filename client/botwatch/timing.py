"""Timing of orders and of the bot's own work."""

import inspect
import time
import uuid
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeVar, cast

from botwatch.records import Number

MAX_REASON = 4096
Side = Literal["buy", "sell"]
OrderStatus = Literal[
    "submitted", "acknowledged", "partially_filled", "filled", "cancelled", "rejected", "expired"
]
F = TypeVar("F", bound=Callable[..., Any])


class Monitor(Protocol):
    """The calls of a controller that are used here."""

    @property
    def log_order(self) -> Callable[..., str]:
        """As in `RecordMethods`."""

    @property
    def log_fill(self) -> Callable[..., str]:
        """Likewise."""

    @property
    def log_metric(self) -> Callable[..., str]:
        """Likewise."""


class OrderTimer:
    """One order, from its submission on: `with monitor.order("BTC/USDT", "buy", 0.5) as order: …`.

    Logs `submitted` at the beginning, and at the end `acknowledged`, or `rejected` with the reason if an
    exception leaves the block. `filled`, `cancelled` and `rejected` may be called in the block or later.
    """

    def __init__(  # noqa: PLR0913 - an order has that many fields
        self,
        monitor: Monitor,
        symbol: str,
        side: Side,
        quantity: Number,
        *,
        order_id: str | None,
        type: str,  # noqa: A002 - the wire's name
        limit_price: Number | None,
        decision_price: Number | None,
    ) -> None:
        self.order_id = order_id or uuid.uuid4().hex
        """As in every record of the order; the exchange may have an id of its own."""
        self.symbol, self.side, self.quantity = symbol, side, quantity
        self._monitor = monitor
        self._fields: dict[str, Any] = {
            "type": type, "limit_price": limit_price, "decision_price": decision_price,
        }  # fmt: skip
        self._fills = 0
        self._is_answered = False

    def __enter__(self) -> Self:
        self._log("submitted")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.acknowledged()
        elif isinstance(error, Exception) and not self._is_answered:
            self.rejected(f"{type(error).__name__}: {error}")

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def acknowledged(self) -> None:
        """Log that the exchange has accepted the order; only the first answer counts."""
        if not self._is_answered:
            self._log("acknowledged")
            self._is_answered = True

    def rejected(self, reason: str) -> None:
        """Log that the exchange has rejected the order, and why."""
        self._log("rejected", reason[:MAX_REASON])
        self._is_answered = True

    def cancelled(self) -> None:
        """Log that the order was cancelled."""
        self._log("cancelled")
        self._is_answered = True

    def filled(
        self,
        price: Number,
        quantity: Number | None = None,
        *,
        fill_id: str | None = None,
        **fields: Any,  # noqa: ANN401 - passed on to `log_fill`, which has their types
    ) -> None:
        """Log an execution, by default of the whole quantity; `fields` are those of `log_fill`."""
        self.acknowledged()
        self._fills += 1
        amount = self.quantity if quantity is None else quantity
        number = fill_id or f"{self.order_id}-{self._fills}"
        self._monitor.log_fill(self.order_id, number, self.symbol, self.side, amount, price, **fields)
        if quantity is None:
            self._log("filled")

    def _log(self, status: OrderStatus, reason: str | None = None) -> None:
        self._monitor.log_order(
            self.order_id, self.symbol, self.side, self.quantity, status, reason=reason, **self._fields
        )


class Timing:
    """The time that something takes, as a metric in milliseconds; a context manager and a decorator.

    `with monitor.timed("signal"): …` and `@monitor.timed("signal")`, also for coroutines. What an exception
    ends is timed too.
    """

    def __init__(self, monitor: Monitor, name: str) -> None:
        self._monitor, self._name = monitor, name
        self._begun = 0.0

    def __enter__(self) -> Self:
        self._begun = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._monitor.log_metric(self._name, (time.perf_counter() - self._begun) * 1000, "ms")

    def __call__(self, function: F) -> F:
        """Return the function, timed at each call."""
        monitor, name = self._monitor, self._name
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def timed_coroutine(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
                with Timing(monitor, name):
                    return await function(*arguments, **options)

            return cast("F", timed_coroutine)

        @wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
            with Timing(monitor, name):
                return function(*arguments, **options)

        return cast("F", timed)
