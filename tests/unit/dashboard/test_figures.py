"""What is known of each bot, made from latest records."""

from datetime import timedelta

from services.dashboard.figures import PERFORMANCE_FIGURES, of_bots, of_hosts, total, worth
from shared.schema.reasons import REASONS, in_words
from shared.schema.records import (
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
from tests.unit.dashboard.cases import NOON

AGO = [NOON - timedelta(seconds=n) for n in range(100)]


def test_an_undefined_figure_is_none_and_never_zero() -> None:
    bot = of_bots([Heartbeat(bot="alpha", timestamp=AGO[9])], NOON)["alpha"]
    assert [bot[name] for name in PERFORMANCE_FIGURES] == [None] * len(PERFORMANCE_FIGURES)
    assert (bot["equity"], bot["timestamp"], bot["lastFillAt"]) == (None, None, None)
    assert (bot["lastHeartbeatAt"], bot["heartbeatStatus"], bot["ageSeconds"]) == (AGO[9], "ok", 9.0)


def test_every_kind_adds_its_moment_and_the_latest_is_when_the_bot_was_seen() -> None:
    fill = Fill(
        bot="alpha", timestamp=AGO[5], order_id="1", fill_id="1", symbol="X", side="buy", quantity=1, price=2
    )
    order = Order(
        bot="alpha", timestamp=AGO[6], order_id="1", symbol="X", side="buy", quantity=1, status="filled"
    )
    equity = Equity(bot="alpha", timestamp=AGO[7], equity=99.5)
    depth = Metric(bot="alpha", timestamp=AGO[8], name="depth", value=3, unit="orders")
    bot = of_bots([fill, order, equity, depth], NOON)["alpha"]
    assert (bot["lastFillAt"], bot["lastOrderAt"], bot["lastSeen"]) == (AGO[5], AGO[6], AGO[5])
    assert (bot["equity"], bot["equityAt"]) == (99.5, AGO[7])
    assert bot["metrics"] == {"depth": {"value": 3, "unit": "orders", "timestamp": AGO[8]}}


def test_computed_figures_fill_only_what_the_bot_leaves_out() -> None:
    reported = Performance(bot="alpha", timestamp=AGO[3], portfolio_value=100, sharpe_ratio=2)
    computed = Performance(bot="alpha", timestamp=AGO[1], sharpe_ratio=1, var95=4, source="computed")
    bot = of_bots([computed, reported], NOON)["alpha"]
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
    bot = of_bots([computed, reported], NOON)["alpha"]
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
    assert of_bots([computed, reported], NOON)["alpha"]["lowConfidence"] == {"volatility": 12}
    assert of_bots([computed], NOON)["alpha"]["lowConfidence"] == low


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
    bot = of_bots([computed, reported], NOON)["alpha"]
    assert (bot["maxDrawdown"], bot["differences"], bot["disagreements"]) == (8.5, both, 1)
    assert bot["computedFigures"] == dict.fromkeys(PERFORMANCE_FIGURES) | {"maxDrawdown": 12.1}
    assert bot["computed"] == []


def test_of_a_bot_for_which_nothing_is_computed_nothing_is_said() -> None:
    bot = of_bots([Performance(bot="alpha", timestamp=AGO[3], portfolio_value=100)], NOON)["alpha"]
    assert (bot["undefined"], bot["lowConfidence"], bot["differences"]) == ({}, {}, {})
    assert (bot["disagreements"], bot["computedFigures"], bot["computedAt"]) == (None, None, None)


def test_every_reason_reads_as_a_sentence_and_an_unknown_one_as_its_words() -> None:
    for code in REASONS:
        text = in_words(Undefined(reason=code, n=3))
        assert text[0].isupper()
        assert text.endswith(".")
        assert "{" not in text
    assert in_words(Undefined(reason="moon_in_the_way")) == "Moon in the way."


def test_what_the_recorder_computes_is_no_sign_of_life_of_the_bot() -> None:
    computed = Performance(bot="alpha", timestamp=AGO[1], sharpe_ratio=1, source="computed")
    bot = of_bots([computed, Equity(bot="alpha", timestamp=AGO[60], equity=1)], NOON)["alpha"]
    assert (bot["ageSeconds"], bot["computed"]) == (60.0, ["sharpeRatio"])


def test_a_bot_whose_clock_is_ahead_has_age_zero() -> None:
    ahead = Equity(bot="alpha", timestamp=NOON + timedelta(seconds=5), equity=1)
    assert of_bots([ahead], NOON)["alpha"]["ageSeconds"] == 0.0


def test_hosts_are_told_apart_from_bots_and_keep_undefined_figures() -> None:
    records = [Health(host="box", timestamp=AGO[2], cpu_usage=5)]
    box = of_hosts(records, NOON)["box"]
    assert (box["cpuUsage"], box["memoryUsage"], box["systemHealth"], box["ageSeconds"]) == (
        5,
        None,
        "UNKNOWN",
        2.0,
    )
    assert of_bots(records, NOON) == {}


def test_a_total_of_nothing_is_undefined() -> None:
    assert total([worth([Heartbeat(bot="alpha", timestamp=NOON)])]) is None
    assert total([None, worth([Performance(bot="beta", timestamp=NOON, portfolio_value=0)])]) == 0
