"""Symbols: what the name of a market says of its currencies and its kind of contract.

Sources: the symbol formats of ccxt's unified API (its manual, "Contract Naming Conventions"), NautilusTrader,
and the API pages of the exchanges named in `_FORMATS`, as of 2026.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from shared.schema.records import ContractType

QUOTES = (
    *("FDUSD", "USDT", "USDC", "USDE", "PYUSD", "USDD", "USD1", "DAI"),
    *("USD", "EUR", "GBP", "JPY", "CHF", "AUD", "CAD", "NZD", "TRY", "BRL", "MXN", "KRW", "INR", "IDR"),
    *("ZAR", "PLN", "SEK", "NOK", "DKK", "SGD", "HKD", "CNH", "UAH", "ARS", "COP"),
    *("CNY", "CZK", "HUF", "ILS", "RON", "THB", "PHP"),
    *("BTC", "XBT", "ETH", "BNB", "SOL"),
)
"""Quote currencies of symbols written without a separator."""

_METALS = ("XAU", "XAG", "XPT", "XPD")
_CODES = {"XBT": "BTC", "XDG": "DOGE"}
_BITFINEX = {"UST": "USDT", "UDC": "USDC"}
_VENUE = re.compile(r"\.[A-Z][A-Z_]{2,}$")
_BROKER = re.compile(r"([A-Z]{3})([A-Z]{3})(?:[a-z+#]|\.[A-Za-z0-9]|_[a-z]).{0,8}")
_CODE = re.compile(r"[A-Z0-9]+")


class Pair(NamedTuple):
    """The currencies and the kind of contract of a symbol; None if its name does not say it for certain."""

    base: str | None
    quote: str | None
    is_derivative: bool = False
    """Perpetual, future or option: fees are never taken from the position."""
    settle: str | None = None
    """Currency in which a derivative's P&L is paid."""
    contract_type: ContractType | None = None
    has_expiry: bool = False
    """Dated future or option: its price is not that of the base."""

    @property
    def money(self) -> str | None:
        """The currency of the P&L as far as the name says it."""
        return self.settle or self.quote


NOTHING = Pair(None, None)


class _Format(NamedTuple):
    """How some exchanges write a kind of market."""

    pattern: str
    kind: ContractType | None
    quote: str | None = None
    """The quote currency that the name leaves out; for options, that of the premium."""
    says_settlement: bool = True


_PARTS = {
    "{base}": "(?P<base>[A-Z0-9]+)",
    "{pair}": "(?P<pair>[A-Z0-9]+)",
    "{usd}": "(?P<quote>USD)",
    "{stable}": "(?P<quote>USD[TC])",
    "{date}": r"(?P<expiry>(?:20)?2\d[01]\d[0-3]\d)",
    "{day}": r"(?P<expiry>\d{1,2}[A-Z]{3}\d{2})",
    "{month}": r"(?P<expiry>[FGHJKMNQUVXZ]\d{2})",
    "{strike}": r"[\d.d]+-[CP]",
}
_FORMATS = (
    # Kraken futures: single-collateral is inverse, multi-collateral is linear
    _Format("[PF]I_{pair}(?:_{date})?", "inverse"),
    _Format("[PF]F_{pair}(?:_{date})?", "linear"),
    # Binance COIN-M and USD-M, Bitget; both exchanges name perpetuals in USDT like spot
    _Format("{base}{usd}_(?:PERP|(?:DMCBL_)?{date}|DMCBL)", "inverse"),
    _Format("{pair}_(?:UMCBL|{date})", "linear"),
    _Format("{pair}_SPBL", "spot"),
    _Format("{base}-{date}-{strike}", "option", "USDT"),
    # Bybit: USDC perpetuals (Bitget, too), inverse and USDT futures, options in USDT
    _Format("{base}PERP(?:_CMCBL)?", "linear", "USDC"),
    _Format("(?P<base>BTC){usd}{month}", "inverse"),
    _Format("{base}{stable}-{day}", "linear"),
    _Format("{base}-{day}-{strike}-{stable}", "option"),
    # OKX; HTX has the contracts in USDT
    _Format("{base}-{usd}-(?:SWAP|{date})", "inverse"),
    _Format("{base}-{stable}-(?:SWAP|{date})", "linear"),
    _Format("{base}-USD-{date}-{strike}", "option", "{base}"),
    # HTX coin-margined futures
    _Format("(?P<base>BTC|ETH)(?:{date}|_(?P<term>CW|NW|CQ|NQ))", "inverse", "USD"),
    # Deribit; Bybit names futures and options in USDC as Deribit names those in the coin
    _Format("(?P<base>BTC|ETH)-PERPETUAL", "inverse", "USD"),
    _Format("{base}_{stable}-(?:PERPETUAL|{day})", "linear"),
    _Format("{base}_{stable}-{day}-{strike}", "option"),
    _Format("{base}-{day}", None, "USD", says_settlement=False),
    _Format("{base}-{day}-{strike}", "option", "{base}", says_settlement=False),
    # Gate: delivery futures and options; perpetuals have the names of spot
    _Format("{base}_{stable}_{date}", "linear"),
    _Format("{base}_{stable}-{date}-{strike}", "option"),
    # KuCoin futures
    _Format("{base}{stable}M", "linear"),
    _Format("{base}{usd}M", "inverse"),
    _Format("(?P<base>XBT)M(?P<expiry>[HMUZ]\\d{2})", "inverse", "USD"),
    # BitMEX
    _Format("(?P<base>XBT){usd}", "inverse"),
    _Format("(?P<base>XBT){month}", "inverse", "USD"),
    _Format("{base}{stable}{month}", "linear"),
    _Format("{base}{usd}{month}", None, says_settlement=False),
    # Coinbase International and Derivatives
    _Format("{base}-PERP-INTX", "linear", "USDC"),
    _Format("[A-Z0-9]+-{day}-CDE", "linear", "USD"),
    # NautilusTrader
    _Format("{pair}-LINEAR", "linear"),
    _Format("{pair}-INVERSE", "inverse"),
    _Format("{pair}-SPOT", "spot"),
    _Format("{base}-{day}-{strike}-OPTION", "option", says_settlement=False),
    _Format("{base}{stable}-PERP", "linear"),
    # dYdX, Hyperliquid, Paradex, Crypto.com and others: what settles them is not said
    _Format("{base}-(?P<quote>[A-Z0-9]+)-(?:PERP|SWAP|{date})", None, says_settlement=False),
    _Format("{base}(?P<quote>USD|EUR|BTC)-PERP", None, says_settlement=False),
    _Format("{base}-(?:PERP|PERPETUAL|SWAP)", "linear", "USD", says_settlement=False),
    # CME and others: the root says no currency
    _Format("[A-Z0-9]{1,4}(?P<expiry>[FGHJKMNQUVXZ]\\d{1,2})", None, says_settlement=False),
)
"""The first format that fits counts. Quote currency and settlement follow from it."""


def _compiled(pattern: str) -> re.Pattern[str]:
    for name, part in _PARTS.items():
        pattern = pattern.replace(name, part)
    return re.compile(pattern)


_COMPILED = tuple((_compiled(one.pattern), one) for one in _FORMATS)
_UNIFIED = re.compile(
    r"(?P<base>[^/:]+)/(?P<quote>[^/:-]+)"
    r"(?::(?P<settle>[^/:-]+)(?P<expiry>-\d{6,8})?(?P<strike>-[\d.]+-[CP])?)?"
)
_KRAKEN_SPOT = re.compile(r"[XZ](?P<base>[A-Z]{3})[XZ](?P<quote>[A-Z]{3})")
_BITFINEX_SYMBOL = re.compile(
    r"t(?P<base>[A-Z0-9]{3}|[A-Z0-9]+?(?P<perpetual>F0)?:)(?P<quote>[A-Z]{3,4})(?:F0)?"
)
_SEPARATED = re.compile(r"(?P<base>[A-Z0-9]+)[-_:](?P<quote>[A-Z0-9]+)")


@lru_cache(maxsize=4096)
def pair_of(symbol: str, hint: str | None = None) -> Pair:
    """Return what `symbol` says; `hint` is a currency that it may contain, such as a fee's.

    XBT and BTC are the same currency; the result says BTC.
    """
    found = _parse(_VENUE.sub("", symbol), hint)
    base, quote, settle = common_code(found.base), common_code(found.quote), common_code(found.settle)
    return found._replace(base=base, quote=quote, settle=settle)


def common_code(currency: str | None) -> str | None:
    """Return the common code of a currency: BitMEX and Kraken write XBT for BTC."""
    return _CODES.get(currency, currency) if currency else None


def _parse(symbol: str, hint: str | None) -> Pair:
    if symbol.islower():  # HTX and others
        pair = _parse(symbol.upper(), hint)
        return pair if pair.quote in QUOTES else NOTHING
    if found := _UNIFIED.fullmatch(symbol):
        return _unified(found)
    if (special := _special(symbol, hint)) is not None:
        return special
    for pattern, form in _COMPILED:
        found = pattern.fullmatch(symbol)
        if found and (known := _formatted(found.groupdict(), form, hint)):
            return known
    return _plain(symbol, hint)


def _special(symbol: str, hint: str | None) -> Pair | None:
    """Return what the names of Kraken, Bitfinex and FX brokers say; None for others."""
    if (found := _KRAKEN_SPOT.fullmatch(symbol)) and found["quote"] in QUOTES:
        return Pair(found["base"], found["quote"])
    if symbol == "XBTUSD" and hint == "USD":  # Kraken charges fees in the quote, BitMEX in the coin
        return Pair("XBT", "USD")
    if found := _BITFINEX_SYMBOL.fullmatch(symbol):
        return _bitfinex(found)
    if found := _BROKER.fullmatch(symbol):
        return Pair(found[1], found[2]) if {found[1], found[2]} <= {*QUOTES, *_METALS} else NOTHING
    return None


def _unified(found: re.Match[str]) -> Pair:
    """Return what ccxt's `BASE/QUOTE`, `BASE/QUOTE:SETTLE` and `BASE/QUOTE:SETTLE-EXPIRY-STRIKE-C` say."""
    base, quote, settle = found["base"], found["quote"], found["settle"]
    if settle is None:
        return Pair(base, quote)
    has_expiry = bool(found["expiry"])
    if found["strike"]:  # its premium is quoted in what settles it
        return Pair(base, settle, is_derivative=True, settle=settle, contract_type="option", has_expiry=True)
    kinds: dict[str, ContractType] = {base: "inverse", quote: "linear"}
    return Pair(
        base, quote, is_derivative=True, settle=settle, contract_type=kinds.get(settle, "quanto"),
        has_expiry=has_expiry,
    )  # fmt: skip


def _bitfinex(found: re.Match[str]) -> Pair:
    base = found["base"].removesuffix(":").removesuffix("F0")
    base, quote = (_BITFINEX.get(code, code) for code in (base, found["quote"]))
    if found["perpetual"]:
        return Pair(base, quote, is_derivative=True, settle=quote, contract_type="linear")
    return Pair(base, quote) if ":" in found["base"] or quote in QUOTES else NOTHING


def _formatted(found: dict[str, str | None], form: _Format, hint: str | None) -> Pair | None:
    """Return what a symbol of a known format says; None if its currencies cannot be separated."""
    base, quote = found.get("base"), found.get("quote") or form.quote
    if joined := found.get("pair"):
        base, quote, *_ = _joined(joined, hint)
        if base is None:
            return None
    if quote == "{base}":
        quote = base
    if form.kind == "spot":
        return Pair(base, quote, contract_type="spot")
    settle = base if form.kind == "inverse" else quote
    return Pair(
        base, quote, is_derivative=True, settle=settle if form.says_settlement else None,
        contract_type=form.kind,
        has_expiry=bool(found.get("expiry") or found.get("term")) or form.kind == "option",
    )  # fmt: skip


def _plain(symbol: str, hint: str | None) -> Pair:
    """Split `BTC-USDT`, `BTC_USDT`, `DUSK:USD` and `ETHUSDT`: spot, or a perpetual named like spot."""
    if found := _SEPARATED.fullmatch(symbol):
        return Pair(found["base"], found["quote"])
    if not _CODE.fullmatch(symbol):
        return NOTHING
    pair = _joined(symbol, hint)
    # Kraken's spot markets have such names, too, but fees in the quote; BitMEX charges them in the coin.
    return pair._replace(is_derivative=pair.base == "XBT")


def _joined(symbol: str, hint: str | None) -> Pair:
    """Split at the longest known quote currency at the end; a hint counts as known."""
    known = sorted({*QUOTES, *([hint] if hint else [])}, key=len, reverse=True)
    for quote in known:
        if symbol.endswith(quote) and symbol != quote:
            return Pair(symbol.removesuffix(quote), quote)
    if hint and symbol.startswith(hint):
        return Pair(hint, symbol.removeprefix(hint) or None)
    return NOTHING
