"""Units: what a wire name becomes on Prometheus."""

import pytest

from shared.schema.records import Health, Performance
from shared.schema.units import metric_fields


@pytest.mark.parametrize(
    ("wire", "prometheus", "on_wire", "in_base_units"),
    [
        ("maxDrawdown", "max_drawdown_ratio", 8.5, 0.085),
        ("orderLatencyMs", "order_latency_seconds", 38.5, 0.0385),
        ("slippageBps", "slippage_ratio", 1.5, 0.00015),
        ("totalPnL", "total_pnl", -3.0, -3.0),
        ("averageTradeDuration", "average_trade_duration_seconds", 60.0, 60.0),
        ("var95", "var_95_ratio", 2.0, 0.02),
    ],
)
def test_a_metric_is_exported_in_base_units_with_a_suffix(
    wire: str, prometheus: str, on_wire: float, in_base_units: float
) -> None:
    (figure,) = [one for one in metric_fields(Performance) if one.wire == wire]
    assert figure.prometheus == prometheus
    assert on_wire * figure.unit.factor == pytest.approx(in_base_units)


def test_every_number_of_performance_and_health_records_is_exported() -> None:
    assert len(metric_fields(Performance)) == 79
    assert len(metric_fields(Health)) == 35
