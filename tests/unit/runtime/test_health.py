"""What /health says."""

from shared.runtime.health import HealthChecks


def test_a_failing_check_shows_its_reason_and_no_statement() -> None:
    def check() -> None:
        raise OSError("no such table: log_position\n[SQL: SELECT 1 FROM log_position LIMIT 1]")

    result = HealthChecks("dashboard", {"health": check}).report().checks["health"]
    assert result.error == "OSError: no such table: log_position"
