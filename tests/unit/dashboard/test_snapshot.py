"""What is known of each bot, made from latest records."""

from datetime import timedelta

from services.dashboard.snapshot import (
    PERFORMANCE_METRICS,
    bot_snapshots,
    host_snapshots,
)
from shared.schema.records import (
    AnyRecord,
    Difference,
    Equity,
    Fill,
    Health,
    Heartbeat,
    Metric,
    Order,
    Performance,
    Undefined,
)
from shared.schema.undefined_reasons import REASONS, WARNINGS, describe_undefined
from tests.unit.dashboard.sample_data import NOON

AGO = [NOON - timedelta(seconds=n) for n in range(100)]


def test_an_undefined_figure_is_none_and_never_zero() -> None:
    bot = bot_snapshots([Heartbeat(bot="alpha", timestamp=AGO[9])], NOON)["alpha"]
    assert [bot[name] for name in PERFORMANCE_METRICS] == [None] * len(PERFORMANCE_METRICS)
    assert (bot["equity"], bot["timestamp"], bot["lastFillAt"]) == (None, None, None)
    assert (bot["lastHeartbeatAt"], bot["heartbeatStatus"], bot["ageSeconds"]) == (AGO[9], "ok", 9.0)


def test_every_record_kind_updates_when_the_bot_was_last_seen() -> None:
    fill = Fill(
        bot="alpha", timestamp=AGO[5], order_id="1", fill_id="1", symbol="X", side="buy", quantity=1, price=2
    )
    order = Order(
        bot="alpha", timestamp=AGO[6], order_id="1", symbol="X", side="buy", quantity=1, status="filled"
    )
    equity = Equity(bot="alpha", timestamp=AGO[7], equity=99.5)
    depth = Metric(bot="alpha", timestamp=AGO[8], name="depth", value=3, unit="orders")
    bot = bot_snapshots([fill, order, equity, depth], NOON)["alpha"]
    assert (bot["lastFillAt"], bot["lastOrderAt"], bot["lastSeen"]) == (AGO[5], AGO[6], AGO[5])
    assert (bot["equity"], bot["equityAt"]) == (99.5, AGO[7])
    assert bot["metrics"] == {"depth": {"value": 3, "unit": "orders", "timestamp": AGO[8]}}


def test_computed_figures_fill_only_what_the_bot_leaves_out() -> None:
    reported = Performance(bot="alpha", timestamp=AGO[3], portfolio_value=100, sharpe_ratio=2)
    computed = Performance(bot="alpha", timestamp=AGO[1], sharpe_ratio=1, var95=4, source="computed")
    bot = bot_snapshots([computed, reported], NOON)["alpha"]
    assert (bot["portfolioValue"], bot["sharpeRatio"], bot["var95"]) == (100, 2, 4)
    assert (bot["source"], bot["computed"], bot["timestamp"]) == ("reported", ["var95"], AGO[3])


def test_an_undefined_figure_says_why_unless_the_bot_reports_it() -> None:
    why = {
        "sharpeRatio": Undefined(reason="too_few_returns", n=1),
        "winRate": Undefined(reason="no_trades"),
        "no figure at all": Undefined(reason="no_trades"),
    }
    computed = Performance(bot="alpha", timestamp=AGO[1], undefined=why, source="computed")
    reported = Performance(bot="alpha", timestamp=AGO[3], portfolio_value=100, win_rate=50)
    bot = bot_snapshots([computed, reported], NOON)["alpha"]
    assert (bot["sharpeRatio"], bot["winRate"]) == (None, 50)
    assert bot["undefined"] == {
        "sharpeRatio": {"reason": "too_few_returns", "n": 1, "text": "Too few daily returns so far: 1."}
    }


def test_low_confidence_is_said_only_of_figures_that_are_shown_as_computed() -> None:
    low = {"sharpeRatio": 12, "volatility": 12}
    computed = Performance(
        bot="alpha", timestamp=AGO[1], sharpe_ratio=1, volatility=9, low_confidence=low, source="computed"
    )
    reported = Performance(bot="alpha", timestamp=AGO[3], portfolio_value=100, sharpe_ratio=2)
    assert bot_snapshots([computed, reported], NOON)["alpha"]["lowConfidence"] == {"volatility": 12}
    assert bot_snapshots([computed], NOON)["alpha"]["lowConfidence"] == low


def test_a_disagreement_keeps_the_reported_figure_and_shows_both() -> None:
    both = {"maxDrawdown": Difference(reported=8.5, computed=12.1)}
    computed = Performance(
        bot="alpha",
        timestamp=AGO[1],
        max_drawdown=12.1,
        differences=both,
        disagreements=1,
        source="computed",
    )
    reported = Performance(bot="alpha", timestamp=AGO[3], portfolio_value=100, max_drawdown=8.5)
    bot = bot_snapshots([computed, reported], NOON)["alpha"]
    assert (bot["maxDrawdown"], bot["differences"], bot["disagreements"]) == (8.5, both, 1)
    assert bot["computedFigures"] == dict.fromkeys(PERFORMANCE_METRICS) | {"maxDrawdown": 12.1}
    assert bot["computed"] == []


def test_of_a_bot_for_which_nothing_is_computed_nothing_is_said() -> None:
    bot = bot_snapshots([Performance(bot="alpha", timestamp=AGO[3], portfolio_value=100)], NOON)["alpha"]
    assert (bot["undefined"], bot["lowConfidence"], bot["differences"]) == ({}, {}, {})
    assert (bot["disagreements"], bot["computedFigures"], bot["computedAt"]) == (None, None, None)


def test_every_reason_reads_as_a_sentence_and_an_unknown_one_as_its_words() -> None:
    for code in REASONS:
        text = describe_undefined(Undefined(reason=code, n=3))
        assert text[0].isupper()
        assert text.endswith(".")
        assert "{" not in text
    assert describe_undefined(Undefined(reason="moon_in_the_way")) == "Moon in the way."


def test_what_the_recorder_computes_is_no_sign_of_life_of_the_bot() -> None:
    computed = Performance(bot="alpha", timestamp=AGO[1], sharpe_ratio=1, source="computed")
    bot = bot_snapshots([computed, Equity(bot="alpha", timestamp=AGO[60], equity=1)], NOON)["alpha"]
    assert (bot["ageSeconds"], bot["computed"]) == (60.0, ["sharpeRatio"])


def test_a_bot_whose_clock_is_ahead_has_age_zero() -> None:
    ahead = Equity(bot="alpha", timestamp=NOON + timedelta(seconds=5), equity=1)
    assert bot_snapshots([ahead], NOON)["alpha"]["ageSeconds"] == 0.0


def test_hosts_are_told_apart_from_bots_and_keep_undefined_figures() -> None:
    records = [Health(host="box", timestamp=AGO[2], cpu_usage=5)]
    box = host_snapshots(records, NOON)["box"]
    assert (box["cpuUsage"], box["memoryUsage"], box["systemHealth"], box["ageSeconds"]) == (
        5,
        None,
        "UNKNOWN",
        2.0,
    )
    assert bot_snapshots(records, NOON) == {}


def test_the_currency_is_the_computed_one_else_that_of_the_equity_else_configured() -> None:
    equity = Equity(bot="alpha", timestamp=AGO[1], equity=1, currency="USD")
    reported = Performance(bot="alpha", timestamp=AGO[1], portfolio_value=1)
    computed = Performance(bot="alpha", timestamp=AGO[1], source="computed", currency="USDT")

    def currency(*records: AnyRecord) -> object:
        return bot_snapshots(records, NOON, lambda bot: f"{bot} EUR")["alpha"]["currency"]

    assert currency(reported, equity, computed) == "USDT"
    assert currency(reported, equity) == "USD"
    assert currency(reported) == "alpha EUR"
    assert bot_snapshots([reported], NOON)["alpha"]["currency"] is None


def test_warnings_of_the_computed_record_have_sentences() -> None:
    computed = Performance(
        bot="alpha", timestamp=AGO[1], source="computed", warnings=["never_flat", "invented"],
        trade_matching="average", benchmark="BTCUSDT",
    )  # fmt: skip
    bot = bot_snapshots([computed], NOON)["alpha"]
    assert (bot["tradeMatching"], bot["benchmark"]) == ("average", "BTCUSDT")
    assert bot["warnings"] == [
        {"code": "never_flat", "text": WARNINGS["never_flat"]},
        {"code": "invented", "text": "Invented."},
    ]
