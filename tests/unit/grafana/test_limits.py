"""Thresholds of panels follow from rules: direction, unit, severity."""

from grafana.limits import prometheus_limits, rule_limits


def test_a_rule_above_a_value_colours_upwards() -> None:
    limits = rule_limits("order-latency")
    assert limits.steps == ((None, "green"), (0.5, "yellow"), (2.0, "orange"))
    assert limits.runbook == "order-latency"


def test_a_rule_below_a_value_colours_downwards() -> None:
    assert rule_limits("liquidation-near").steps == ((None, "red"), (0.05, "yellow"), (0.1, "green"))


def test_none_of_something_counted_is_green() -> None:
    assert rule_limits("position-differences").steps == ((None, "green"), (1.0, "orange"))


def test_a_panel_in_another_unit_has_the_thresholds_in_that_unit() -> None:
    assert rule_limits("slippage").times(10_000).steps == (
        (None, "green"),
        (10.0, "yellow"),
        (25.0, "orange"),
    )


def test_a_prometheus_rule_gives_its_number_and_severity() -> None:
    assert prometheus_limits("BotwatchBackupOverdue").steps == ((None, "green"), (129_600.0, "orange"))
