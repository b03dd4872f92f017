"""Symbols: base and quote currency, parsed from the symbol formats of exchanges.

Sources: the symbol formats of ccxt's unified API, Binance (spot, USD-M, COIN-M), Bybit, OKX, Deribit, BitMEX,
Kraken (spot, futures), KuCoin futures, Gate, Bitget, Coinbase and NautilusTrader, as of 2026.
"""

import re
from functools import lru_cache
from typing import NamedTuple

SEPARATORS = ("/", "-", "_", ":")
QUOTES = (
    *("FDUSD", "USDT", "USDC", "USDE", "PYUSD", "USDD", "DAI"),
    *("USD", "EUR", "GBP", "JPY", "CHF", "AUD", "CAD", "NZD", "TRY", "BRL", "MXN", "KRW", "INR", "IDR"),
    *("ZAR", "PLN", "SEK", "NOK", "DKK", "SGD", "HKD", "CNH", "UAH", "ARS", "COP"),
    *("BTC", "XBT", "ETH", "BNB", "SOL"),
)
"""Quote currencies of symbols written without a separator."""

_VENUE = re.compile(r"\.[A-Z][A-Z_]{2,}$")
_KRAKEN_SPOT = re.compile(r"X([A-Z]{3})Z([A-Z]{3})")
_KRAKEN_FUTURES = re.compile(r"(?:P|F)[IF]_(?P<pair>[A-Z0-9]+?)(?:_\d{6})?")
_EXPIRY = re.compile(r"\d{1,2}[A-Z]{3}\d{2}|\d{6,8}")
_CONTRACTS = frozenset(("SWAP", "PERP", "PERPETUAL", "UMCBL", "DMCBL", "CMCBL", "FUTURES"))
_OPTIONS = frozenset("CP")
_CONTRACT_SUFFIX = re.compile(r"(?P<pair>[A-Z0-9]{2,}USD[TC]?)M")
_BITMEX_EXPIRY = re.compile(r"(?P<pair>[A-Z]{3,})[FGHJKMNQUVXZ]\d{2}")


class Pair(NamedTuple):
    """Base and quote currency of a symbol; None if its name does not contain it."""

    base: str | None
    quote: str | None
    is_derivative: bool = False
    """Perpetual, future or option: fees are never taken from the position."""


@lru_cache(maxsize=4096)
def pair_of(symbol: str, hint: str | None = None) -> Pair:
    """Return the currencies of `symbol`; `hint` is one that it may contain, such as a fee's.

    XBT and BTC are the same currency; the result says BTC.
    """
    base, quote, is_derivative = _split(_VENUE.sub("", symbol), hint)
    return Pair(common_code(base), common_code(quote), is_derivative)


def common_code(currency: str | None) -> str | None:
    """Return the common code of a currency: BitMEX and Kraken write XBT for BTC."""
    return "BTC" if currency == "XBT" else currency


def _split(symbol: str, hint: str | None) -> Pair:
    if found := _KRAKEN_FUTURES.fullmatch(symbol):
        return _joined(found["pair"], hint)._replace(is_derivative=True)
    if found := _KRAKEN_SPOT.fullmatch(symbol):
        return Pair(found[1], found[2])
    if "/" in symbol:
        return _unified(symbol)
    first, *rest = re.split(r"[-_:]", symbol)
    if not rest:
        return _native(first, hint)
    if any(part in _CONTRACTS or _EXPIRY.fullmatch(part) for part in rest):
        return _contract(first, rest, hint)
    return Pair(first, rest[0])


def _unified(symbol: str) -> Pair:
    """Split ccxt's `BASE/QUOTE`, `BASE/QUOTE:SETTLE` and `BASE/QUOTE:SETTLE-EXPIRY-STRIKE-TYPE`."""
    base, _, rest = symbol.partition("/")
    quote, _, settle = rest.partition(":")
    settle, *terms = settle.split("-")
    if terms and terms[-1] in _OPTIONS:
        return Pair(base, settle, is_derivative=True)
    return Pair(base, quote, is_derivative=bool(settle))


def _contract(first: str, rest: list[str], hint: str | None) -> Pair:
    """Split contracts: `BTC-USD-SWAP`, `BTCUSD_PERP`, `ETHUSDT-PERP`, `BTC_USDC-PERPETUAL`, `BTC-28JUN24`."""
    is_quoted = rest[0] not in _CONTRACTS and not _EXPIRY.fullmatch(rest[0])
    base, quote, _ = Pair(first, rest[0]) if is_quoted else _joined(first, hint)
    if rest[-1] in _OPTIONS and quote in (None, "USD"):  # OKX and Deribit price these in the coin
        return Pair(base or first, base or first, is_derivative=True)
    if base is None and not rest[0].isdigit():  # `BTC-PERPETUAL`, `BTC-28JUN24`
        quote = "USD"
    return Pair(base or first, quote, is_derivative=True)


def _native(symbol: str, hint: str | None) -> Pair:
    """Split symbols without a separator: `ETHUSDT`, `BTCPERP`, `XBTUSDTM`, `XBTUSD`, `XBTM24`."""
    if symbol.endswith("PERP") and symbol != "PERP":
        return Pair(symbol.removesuffix("PERP"), "USDC", is_derivative=True)  # Bybit
    if found := _CONTRACT_SUFFIX.fullmatch(symbol):
        return _joined(found["pair"], hint)._replace(is_derivative=True)
    if found := _BITMEX_EXPIRY.fullmatch(symbol):
        pair = _joined(found["pair"], hint)
        quote = pair.quote if pair.base else ("USD" if found["pair"] == "XBT" else None)
        return Pair(pair.base or found["pair"], quote, is_derivative=True)
    pair = _joined(symbol, hint)
    # Kraken's spot market has this name too, but charges fees in the quote; BitMEX charges them in the coin.
    return pair._replace(is_derivative=pair.base == "XBT")


def _joined(symbol: str, hint: str | None) -> Pair:
    """Split at the longest known quote currency at the end; a hint counts as known."""
    known = sorted({*QUOTES, *([hint] if hint else [])}, key=len, reverse=True)
    for quote in known:
        if symbol.endswith(quote) and symbol != quote:
            return Pair(symbol.removesuffix(quote), quote)
    if hint and symbol.startswith(hint):
        return Pair(hint, symbol.removeprefix(hint) or None)
    return Pair(None, None)
