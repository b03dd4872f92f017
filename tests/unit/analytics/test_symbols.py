"""Symbols: base and quote from the exchanges' names."""

import pytest

from shared.analytics.symbols import Pair, pair_of

SPOT = {
    "BTC/USDT": ("BTC", "USDT"),
    "BTC-USD": ("BTC", "USD"),
    "BTC_USDT": ("BTC", "USDT"),
    "ETHUSDT": ("ETH", "USDT"),
    "BNBUSDT": ("BNB", "USDT"),
    "1000SHIBUSDT": ("1000SHIB", "USDT"),
    "ETHBTC": ("ETH", "BTC"),
    "DOTUSD": ("DOT", "USD"),
    "EURUSD": ("EUR", "USD"),
    "USDJPY": ("USD", "JPY"),
    "EUR/USD.SIM": ("EUR", "USD"),
    "XXBTZUSD": ("BTC", "USD"),
    "XBT/USD": ("BTC", "USD"),
    "XETHXXBT": ("ETH", "BTC"),
    "ZEURZUSD": ("EUR", "USD"),
    "btcusdt": ("BTC", "USDT"),  # HTX
    "tBTCUSD": ("BTC", "USD"),  # Bitfinex
    "tETHUST": ("ETH", "USDT"),
    "tDUSK:USD": ("DUSK", "USD"),
    "EURUSDm": ("EUR", "USD"),  # MetaTrader, with the broker's suffix
    "EURUSD.pro": ("EUR", "USD"),
    "EUR_USD": ("EUR", "USD"),  # OANDA
    "USDCAD": ("USD", "CAD"),
    "USDTRY": ("USD", "TRY"),
    "USDTUSD": ("USDT", "USD"),
    "XAUUSD": ("XAU", "USD"),
}
DERIVATIVES = {
    "BTC/USDT:USDT": ("BTC", "USDT"),
    "BTC/USD:BTC": ("BTC", "USD"),
    "BTC/USD:BTC-240628": ("BTC", "USD"),
    "BTC/USD:BTC-240628-50000-C": ("BTC", "BTC"),
    "BTC-USD-SWAP": ("BTC", "USD"),
    "BTC-USDT-SWAP": ("BTC", "USDT"),
    "BTC-USD-240628": ("BTC", "USD"),
    "BTC-USD-240628-50000-C": ("BTC", "BTC"),
    "BTCUSD_PERP": ("BTC", "USD"),
    "BTCUSDT_240628": ("BTC", "USDT"),
    "BTCPERP": ("BTC", "USDC"),
    "BTC-PERP": ("BTC", "USD"),
    "BTC-PERPETUAL": ("BTC", "USD"),
    "BTC_USDC-PERPETUAL": ("BTC", "USDC"),
    "BTC-28JUN24": ("BTC", "USD"),
    "BTC-28JUN24-50000-C": ("BTC", "BTC"),
    "ETHUSDT-PERP.BINANCE": ("ETH", "USDT"),
    "PF_XBTUSD": ("BTC", "USD"),
    "FI_XBTUSD_240628": ("BTC", "USD"),
    "XBTUSD": ("BTC", "USD"),
    "XBTM24": ("BTC", "USD"),
    "XBTUSDTM": ("BTC", "USDT"),
    "BTCUSDT_UMCBL": ("BTC", "USDT"),
}
CONTRACTS = {
    # ccxt
    "BTC/USDT:USDT": ("BTC", "USDT", "USDT", "linear"),
    "BTC/USD:BTC": ("BTC", "USD", "BTC", "inverse"),
    "BTC/USD:BTC-240628": ("BTC", "USD", "BTC", "inverse"),
    "ETH/USD:BTC": ("ETH", "USD", "BTC", "quanto"),
    "BTC/USD:BTC-240628-50000-C": ("BTC", "BTC", "BTC", "option"),
    "BTC/USDT:USDT-240628-50000-P": ("BTC", "USDT", "USDT", "option"),
    # Binance
    "BTCUSD_PERP": ("BTC", "USD", "BTC", "inverse"),
    "BTCUSD_240628": ("BTC", "USD", "BTC", "inverse"),
    "BTCUSDT_240628": ("BTC", "USDT", "USDT", "linear"),
    "BTC-240628-50000-C": ("BTC", "USDT", "USDT", "option"),
    # OKX
    "BTC-USDT-SWAP": ("BTC", "USDT", "USDT", "linear"),
    "BTC-USD-SWAP": ("BTC", "USD", "BTC", "inverse"),
    "BTC-USDC-240628": ("BTC", "USDC", "USDC", "linear"),
    "BTC-USD-240628": ("BTC", "USD", "BTC", "inverse"),
    "BTC-USD-240628-50000-C": ("BTC", "BTC", "BTC", "option"),
    # Bybit
    "BTCPERP": ("BTC", "USDC", "USDC", "linear"),
    "BTCUSDM24": ("BTC", "USD", "BTC", "inverse"),
    "BTCUSDT-28JUN24": ("BTC", "USDT", "USDT", "linear"),
    "BTC-28JUN24-50000-C-USDT": ("BTC", "USDT", "USDT", "option"),
    # Kraken futures
    "PI_XBTUSD": ("BTC", "USD", "BTC", "inverse"),
    "FI_XBTUSD_240628": ("BTC", "USD", "BTC", "inverse"),
    "PF_XBTUSD": ("BTC", "USD", "USD", "linear"),
    "FF_ETHUSD_240628": ("ETH", "USD", "USD", "linear"),
    # Deribit; Bybit has the same names for others
    "BTC-PERPETUAL": ("BTC", "USD", "BTC", "inverse"),
    "BTC_USDC-PERPETUAL": ("BTC", "USDC", "USDC", "linear"),
    "SOL_USDC-28JUN24": ("SOL", "USDC", "USDC", "linear"),
    "BTC_USDC-28JUN24-50000-C": ("BTC", "USDC", "USDC", "option"),
    "BTC-28JUN24": ("BTC", "USD", None, None),
    "BTC-28JUN24-50000-C": ("BTC", "BTC", None, "option"),
    # BitMEX
    "XBTUSD": ("BTC", "USD", "BTC", "inverse"),
    "XBTM24": ("BTC", "USD", "BTC", "inverse"),
    "XBTUSDTM24": ("BTC", "USDT", "USDT", "linear"),
    "ETHUSDM24": ("ETH", "USD", None, None),  # quanto there, inverse on Bybit
    "XBTEUR": ("BTC", "EUR", None, None),
    # KuCoin
    "XBTUSDTM": ("BTC", "USDT", "USDT", "linear"),
    "ETHUSDCM": ("ETH", "USDC", "USDC", "linear"),
    "XBTUSDM": ("BTC", "USD", "BTC", "inverse"),
    "XBTMH25": ("BTC", "USD", "BTC", "inverse"),
    # Gate, Bitget, HTX, Coinbase, Bitfinex
    "BTC_USDT_20240628": ("BTC", "USDT", "USDT", "linear"),
    "BTC_USDT-20240628-50000-C": ("BTC", "USDT", "USDT", "option"),
    "BTCUSDT_UMCBL": ("BTC", "USDT", "USDT", "linear"),
    "BTCUSD_DMCBL": ("BTC", "USD", "BTC", "inverse"),
    "BTCUSD_DMCBL_240628": ("BTC", "USD", "BTC", "inverse"),
    "BTCPERP_CMCBL": ("BTC", "USDC", "USDC", "linear"),
    "BTC-USDT-240628": ("BTC", "USDT", "USDT", "linear"),
    "BTC240628": ("BTC", "USD", "BTC", "inverse"),
    "BTC_CQ": ("BTC", "USD", "BTC", "inverse"),
    "BTC-PERP-INTX": ("BTC", "USDC", "USDC", "linear"),
    "BIT-28JUN24-CDE": (None, "USD", "USD", "linear"),
    "tBTCF0:USTF0": ("BTC", "USDT", "USDT", "linear"),
    # NautilusTrader
    "ETHUSDT-PERP.BINANCE": ("ETH", "USDT", "USDT", "linear"),
    "BTCUSDT-LINEAR.BYBIT": ("BTC", "USDT", "USDT", "linear"),
    "BTCUSD-INVERSE.BYBIT": ("BTC", "USD", "BTC", "inverse"),
    "BTC-USDT-SWAP.OKX": ("BTC", "USDT", "USDT", "linear"),
    # several exchanges: what settles them is not said
    "BTC-PERP": ("BTC", "USD", None, "linear"),
    "BTC-USD-PERP.DYDX": ("BTC", "USD", None, None),
    "BTCUSD-PERP": ("BTC", "USD", None, None),
    # futures: the root says no currency
    "ESZ4": (None, None, None, None),
    "MNQZ24.CME": (None, None, None, None),
}


@pytest.mark.parametrize("symbol", SPOT)
def test_a_spot_market_has_a_base_and_a_quote(symbol: str) -> None:
    assert pair_of(symbol) == Pair(*SPOT[symbol])
    assert pair_of(symbol).money == SPOT[symbol][1]


@pytest.mark.parametrize("symbol", DERIVATIVES)
def test_a_contract_is_known_as_one(symbol: str) -> None:
    assert pair_of(symbol)[:3] == (*DERIVATIVES[symbol], True)


@pytest.mark.parametrize("symbol", CONTRACTS)
def test_the_name_of_a_contract_says_what_settles_it_and_its_type(symbol: str) -> None:
    found = pair_of(symbol)
    assert (found.base, found.quote, found.settle, found.contract_type) == CONTRACTS[symbol]
    assert found.is_derivative


@pytest.mark.parametrize(
    "symbol", ["BTC-USD-240628", "BTC_CQ", "BTC/USDT:USDT-240628", "ESZ4", "FI_XBTUSD_240628"]
)
def test_a_dated_contract_has_an_expiry(symbol: str) -> None:
    assert pair_of(symbol).has_expiry
    assert not pair_of("BTC-USD-SWAP").has_expiry


def test_the_currency_of_a_fee_tells_krakens_spot_from_a_contract_of_bitmex() -> None:
    assert pair_of("XBTUSD", "USD") == Pair("BTC", "USD")
    assert pair_of("XBTUSD", "XBT").contract_type == pair_of("XBTUSD").contract_type == "inverse"


def test_what_is_kept_apart_by_a_suffix_is_known_as_spot() -> None:
    assert pair_of("BTCUSDT-SPOT.BYBIT") == Pair("BTC", "USDT", contract_type="spot")
    assert pair_of("BTCUSDT_SPBL") == Pair("BTC", "USDT", contract_type="spot")


@pytest.mark.parametrize(
    "symbol",
    ["AAPL", "BRK.B", "AAPL.NASDAQ", "BTC", "USDT", "ES", "/ES", "ES=F", "SH600000", "mid_price", "tSLA", ""],
)
def test_a_name_that_tells_no_currency_has_none(symbol: str) -> None:
    assert pair_of(symbol) == Pair(None, None)


def test_a_fees_currency_helps_to_split_a_symbol() -> None:
    assert pair_of("ARBBUSD") == Pair("ARBB", "USD")
    assert pair_of("ARBBUSD", "BUSD") == Pair("ARB", "BUSD")
    assert pair_of("FOOXYZ", "FOO") == Pair("FOO", "XYZ")
