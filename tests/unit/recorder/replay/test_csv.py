"""CSV of fills, trades and equity, and the exports of exchanges, with figures by hand."""

import pytest

from services.recorder.replay.command import Progress
from tests.unit.recorder.replay.conftest import Replayer

FILLS = """\
date,pair,side,qty,price,commission
2026-01-01 10:00:00,BTC/USDT,BUY,2,100,1
2026-01-01 11:00:00,BTC/USDT,SELL,2,110,1
2026-01-02 10:00:00,BTC/USDT,SELL,1,120,1
2026-01-02 12:00:00,BTC/USDT,BUY,1,125,1
"""


def test_fills_and_equity_give_the_figures_of_a_spreadsheet(replayer: Replayer) -> None:
    """2·(110-100)-2 = 18 and 1·(120-125)-2 = -7: 11 in all, one win in two, 18/7."""
    fills = replayer.file("fills.csv", FILLS)
    equity = replayer.file(
        "equity.csv",
        "time;equity;currency\n1767254400;1000;USDT\n1767265200000;1018;\n2026-01-02T12:00:00Z;1011;\n",
    )
    found = replayer.result(fills, equity)
    figures = found["performance"]
    assert figures["totalPnL"] == pytest.approx(11)
    assert figures["realizedPnL"] == pytest.approx(11)
    assert (figures["totalTrades"], figures["winRate"]) == (2, 50)
    assert figures["profitFactor"] == pytest.approx(18 / 7)
    assert figures["expectancy"] == pytest.approx(5.5)
    assert figures["maxDrawdown"] == pytest.approx(100 * 7 / 1018)
    assert [trade["pnl"] for trade in found["trades"]] == pytest.approx([18, -7])
    assert found["events"] == {"fills": 4, "equity points": 3}
    assert (found["from"], found["to"]) == ("2026-01-01T08:00:00.000Z", "2026-01-02T12:00:00.000Z")


def test_open_positions_are_listed(replayer: Replayer) -> None:
    """2 bought at 100, the last price 110: 20 of unrealised P&L."""
    path = replayer.file(
        "f.csv", "\n".join([*FILLS.splitlines()[:2], "2026-01-01 11:00:00,BTC/USDT,BUY,2,110,0"])
    )
    [held] = replayer.result(path)["positions"]
    assert (held["symbol"], held["side"], held["quantity"], held["entryPrice"]) == (
        "BTC/USDT",
        "long",
        4,
        105,
    )
    assert (held["unrealizedPnL"], held["openedAt"]) == (20, "2026-01-01T10:00:00.000Z")
    _, out, _ = replayer.run(path)
    header, row = [line.split("\t") for line in out.partition("Open positions\n")[2].splitlines()[:2]]
    assert dict(zip(header, row, strict=True))["unrealizedPnL"] == "20.0"


def test_a_rate_shortly_after_a_fill_counts(replayer: Replayer) -> None:
    """The fee of 0.01 BNB is 6 USDT by the price 30 s later: 20-1-6 = 13; a rate 61 s later is none."""
    rows = FILLS.splitlines()[:3]
    rows = [rows[0] + ",fee currency", rows[1] + ",USDT", rows[2][:-1] + "0.01,BNB"]
    for after, expected in (("11:00:30", 13), ("11:01:01", None)):
        path = replayer.file("f.csv", "\n".join([*rows, f"2026-01-01 {after},BNB/USDT,BUY,1,600,0,USDT"]))
        assert [trade["pnl"] for trade in replayer.result(path)["trades"]] == [expected]


def test_a_file_that_is_newest_first_is_read_backwards(replayer: Replayer) -> None:
    """Also among rows of the same second, where the sell closes what the buy opened."""
    header, *rows = FILLS.replace("11:00:00", "10:00:00").splitlines()
    oldest = replayer.result(replayer.file("a.csv", "\n".join([header, *rows])))
    newest = replayer.result(replayer.file("b.csv", "\n".join([header, *rows[::-1]])))
    assert newest["performance"] == oldest["performance"]
    assert newest["trades"] == oldest["trades"]
    assert newest["trades"][0]["pnl"] == pytest.approx(18)


def test_the_time_zone_of_naive_times(replayer: Replayer) -> None:
    """10:00 in Berlin is 09:00 UTC in winter; without the option it is UTC, which a note says."""
    fills = replayer.file("fills.csv", FILLS)
    assert replayer.result(fills)["from"] == "2026-01-01T10:00:00.000Z"
    berlin = replayer.result(fills, "--time-zone", "Europe/Berlin")
    assert berlin["from"] == "2026-01-01T09:00:00.000Z"
    assert any("--time-zone" in note for note in berlin["files"][0]["notes"])


def test_closed_trades_alone(replayer: Replayer) -> None:
    """With --start-equity, the equity is what the trades closed so far have left."""
    trades = replayer.file(
        "trades.csv",
        "symbol,side,quantity,entry_price,exit_price,pnl,opened_at,closed_at\n"
        "X,long,1,10,15,5,2026-01-01,2026-01-02\nX,short,1,20,22,-2,2026-01-03,2026-01-04\n",
    )
    found = replayer.result(trades, "--start-equity", "100")
    assert found["events"] == {"equity points": 2, "reported trades": 2}
    assert found["performance"]["portfolioValue"] == 103
    assert found["performance"]["totalPnL"] == pytest.approx(3)
    assert found["performance"]["maxDrawdown"] == pytest.approx(100 * 2 / 105)
    assert replayer.result(trades)["performance"].get("portfolioValue") is None


def test_binance(replayer: Replayer) -> None:
    """Amounts carry their currency: 0.5·(42000-40000)-20-21 = 959 USDT."""
    path = replayer.file(
        "binance.csv",
        '"Date(UTC)","Pair","Side","Price","Executed","Amount","Fee"\n'
        '"2026-01-02 10:00:00","BTCUSDT","SELL","42000","0.5BTC","21,000USDT","21USDT"\n'
        '"2026-01-01 10:00:00","BTCUSDT","BUY","40000","0.5000000000BTC","20,000USDT","20USDT"\n',
    )
    found = replayer.result(path)
    assert found["files"][0]["format"] == "binance"
    assert [(trade["symbol"], trade["pnl"]) for trade in found["trades"]] == [("BTC/USDT", 959)]


def test_kraken(replayer: Replayer) -> None:
    """`vol` is the quantity; a transaction that two exports have counts once."""
    header = (
        '"txid","ordertxid","pair","time","type","ordertype","price","cost","fee","vol","margin","misc"\n'
    )
    buy = '"T1","O1","XXBTZEUR","2026-01-01 10:00:00.1234","buy","limit",100.0,200.0,0.5,2.0,0.0,""\n'
    sell = '"T2","O2","XXBTZEUR","2026-01-01 11:00:00.1","sell","limit",110.0,220.0,0.5,2.0,0.0,""\n'
    first, second = replayer.file("a.csv", header + buy), replayer.file("b.csv", header + buy + sell)
    found = replayer.result(first, second)
    assert found["events"] == {"fills": 2}
    assert [file["repeated"] for file in found["files"]] == [0, 1]
    assert [trade["pnl"] for trade in found["trades"]] == [19]


def test_deals_of_metatrader_5(replayer: Replayer) -> None:
    """One lot is 100,000 EUR: 100,000·0.001-7 of commission-2 of swap = 91; a title precedes the table."""
    path = replayer.file(
        "deals.csv",
        (
            "Trade History Report;\nAccount:;123;\n"
            "Time;Deal;Symbol;Type;Direction;Volume;Price;Order;Commission;Fee;Swap;Profit;Balance;Comment\n"
            "2026.01.05 10:00:00;1;;balance;;;;;0.00;0.00;0.00;10 000.00;10 000.00;\n"
            "2026.01.05 11:00:00;2;EURUSD;buy;in;1.00;1.10000;11;-3.50;0.00;0.00;0.00;9 996.50;\n"
            "2026.01.06 11:00:00;3;EURUSD;sell;out;1.00;1.10100;12;-3.50;0.00;-2.00;100.00;10 091.00;\n"
            ";;;;;;;;-7.00;0.00;-2.00;100.00;10 091.00;\n"
        ).encode("utf-16"),
    )
    config = replayer.file("c.json", '{"analytics": {"symbols": {"EURUSD": {"multiplier": 100000}}}}')
    found = replayer.result(path, "--config", config, "--currency", "USD")
    assert found["files"][0]["format"] == "mt5"
    assert found["events"] == {"flows": 1, "equity points": 2, "fills": 2, "funding payments": 1}
    assert found["performance"]["portfolioValue"] == 10_091
    assert [trade["pnl"] for trade in found["trades"]] == pytest.approx([91])
    assert found["performance"]["realizedPnL"] == pytest.approx(91)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("yesterday,X,buy,1,1", "line 3, column 1 (time): expected a time such as 2026-01-31 12:00:00, "),
        ("03/04/2026,X,buy,1,1", "line 3, column 1 (time): expected a time such as 2026-01-31 12:00:00, "),
        ("2026-13-01,X,buy,1,1", "line 3, column 1 (time): expected a time such as 2026-01-31 12:00:00, "),
        ("1999-01-01,X,buy,1,1", "line 3, column 1 (time): expected a time in the years 2000 to 2099, got "),
        ("2026-01-01,,buy,1,1", "line 3, column 2 (symbol): expected a value, got nothing"),
        ("2026-01-01,X,hold,1,1", "line 3, column 3 (side): expected buy or sell, got 'hold'"),
        ("2026-01-01,X,buy,-1,1", "line 3, column 4 (quantity): expected a number above 0, got '-1'"),
        (
            '2026-01-01,X,buy,1,"1,5"',
            "line 3, column 5 (price): expected a number (a decimal point, no commas)",
        ),
        ("2026-01-01,X,buy,1_0,1", "line 3, column 4 (quantity): expected a number, got '1_0'"),
        ("2026-01-01,X,buy,1,nan", "line 3, column 5 (price): expected a finite number, got 'nan'"),
        ("2026-01-01,X,buy,1", "line 3: expected at least 5 columns, got 4"),
        ("2026-01-01,X,buy,1e19,1", "line 3: expected amounts below 1e18"),
    ],
)
def test_a_wrong_row_names_line_and_column(row: str, expected: str, replayer: Replayer) -> None:
    """And how many rows were read; nothing is folded."""
    path = replayer.file("f.csv", f"time,symbol,side,quantity,price\n2026-01-01,X,buy,1,1\n{row}\n")
    fault, total = replayer.faults(path)
    assert fault.startswith(f"f.csv: {expected}")
    assert total == "f.csv: 2 rows were read, 1 of them are wrong; nothing was computed or sent"


def test_only_the_first_wrong_rows_are_listed(replayer: Replayer) -> None:
    """A million of them are counted."""
    path = replayer.file("f.csv", "time,symbol,side,quantity,price\n" + "2026-01-01,X,buy,0,1\n" * 50)
    *faults, total = replayer.faults(path)
    assert len(faults) == 10
    assert total == (
        "f.csv: 50 rows were read, 50 of them are wrong; the first 10 are listed; "
        "nothing was computed or sent"
    )


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("a,b\n1,2\n", (), "f.csv: line 1: expected a header with the columns of trades: symbol, side, "),
        (
            "time,symbol,side,amount,size,price\n",
            (),
            "f.csv: line 1: the columns amount and size could all be the quantity: rename all but one",
        ),
        ("time,equity\n1767254400,1\n", ("--format", "fills"), "f.csv: line 1: expected a header with the "),
        ("time,equity\n", (), "f.csv: no trading event; 0 rows were read"),
        ("", (), "f.csv: expected records, got an empty file"),
        (
            "time,equity\n1767254400,1\n",
            ("--time-zone", "Mars"),
            "botwatch replay: --time-zone: expected an ",
        ),
        (
            "time,equity\n1767254400,1\n",
            ("--config", "/none.json"),
            "botwatch replay: /none.json: no such file",
        ),
    ],
)
def test_a_wrong_file_is_refused(
    content: str, options: tuple[str, ...], expected: str, replayer: Replayer
) -> None:
    """With what was expected."""
    [fault] = replayer.faults(replayer.file("f.csv", content), *options)
    assert fault.startswith(expected)


def test_the_progress_is_shown_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """At most every half a second, and removed at the end; elsewhere nothing is shown."""
    moments = iter((0.0, 0.4, 0.6, 0.7))
    shown = Progress(is_terminal=True, monotonic=lambda: next(moments))
    for done in (1, 2_000, 3_000):
        shown("folding", done)
    shown.clear()
    assert capsys.readouterr().err == "\r\x1b[Kfolding: 2,000 events\r\x1b[K"
    hidden = Progress(is_terminal=False, monotonic=lambda: 1.0)
    hidden("folding", 1)
    hidden.clear()
    assert capsys.readouterr().err == ""


def test_a_missing_file(replayer: Replayer) -> None:
    """Its name and the reason."""
    assert replayer.faults(replayer.folder / "none.csv") == ["none.csv: No such file or directory"]
