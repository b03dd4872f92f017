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


@pytest.mark.parametrize("symbol", SPOT)
def test_a_spot_market_has_a_base_and_a_quote(symbol: str) -> None:
    assert pair_of(symbol) == Pair(*SPOT[symbol])


@pytest.mark.parametrize("symbol", DERIVATIVES)
def test_a_contract_is_known_as_one(symbol: str) -> None:
    assert pair_of(symbol) == Pair(*DERIVATIVES[symbol], is_derivative=True)


@pytest.mark.parametrize("symbol", ["AAPL", "BRK.B", "AAPL.NASDAQ", "BTC", "USDT"])
def test_a_name_that_tells_no_currency_has_none(symbol: str) -> None:
    assert pair_of(symbol) == Pair(None, None)


def test_a_fees_currency_helps_to_split_a_symbol() -> None:
    assert pair_of("ARBBUSD") == Pair("ARBB", "USD")
    assert pair_of("ARBBUSD", "BUSD") == Pair("ARB", "BUSD")
    assert pair_of("FOOXYZ", "FOO") == Pair("FOO", "XYZ")
