"""What /health says."""

from prometheus_client import REGISTRY, generate_latest

from shared.runtime.health import HealthChecks
from shared.version import VERSION


def test_a_failing_check_shows_its_reason_and_no_statement() -> None:
    def check() -> None:
        raise OSError("no such table: log_position\n[SQL: SELECT 1 FROM log_position LIMIT 1]")

    result = HealthChecks("dashboard", {"health": check}).report().checks["health"]
    assert result.error == "OSError: no such table: log_position"


def test_the_report_has_the_version() -> None:
    """Anyone who asks a part for its health sees which version of Botwatch it runs."""
    assert HealthChecks("dashboard", {}).report().version == VERSION


def test_the_metrics_have_the_version() -> None:
    """Prometheus gets it as the label of a metric that is always 1."""
    assert f'botwatch_build_info{{version="{VERSION}"}} 1.0' in generate_latest(REGISTRY).decode()
