"""Which indexes the list of alerts is read through: it stays fast with 100,000 stored alerts."""

import pytest
from sqlalchemy.dialects import sqlite

from shared.store.alerts import AlertFilter, alert_list_statement
from shared.store.database import Database


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (AlertFilter(), "alerts_timestamp"),
        (AlertFilter(component=["a"]), "alerts_component_timestamp"),
        (AlertFilter(bot=["a"], severity=["LOW"]), "alerts_component_timestamp"),
        (AlertFilter(rule=["drawdown"]), "alerts_rule_timestamp"),
        (AlertFilter(status=["ACTIVE", "ACKNOWLEDGED"]), "alerts_open_timestamp"),
        (AlertFilter(status=["ACTIVE", "RESOLVED"]), "alerts_timestamp"),
    ],
)
def test_lists_of_alerts_are_read_through_an_index(health: Database, wanted: AlertFilter, index: str) -> None:
    statement = alert_list_statement(wanted, 100, ("2026-01-31 12:00:00.000", "x"))
    compiled = statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    with health.read() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}").all()
    assert f"USING INDEX {index} " in f"{plan[0][3]} "
