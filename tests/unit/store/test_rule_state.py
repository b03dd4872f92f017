"""Rule states in the database: replaced, and deleted by the thousand."""

from shared.store.database import Database
from shared.store.rule_state import load_rule_states, save_rule_states


def test_any_number_of_rule_states_is_replaced_and_deleted(health: Database) -> None:
    many = {f"key-{number}": "{}" for number in range(40_000)}
    with health.write() as connection:
        save_rule_states(connection, many | {"kept": "old"}, [])
        save_rule_states(connection, {"kept": "new"}, many)
    with health.read() as connection:
        assert load_rule_states(connection) == {"kept": "new"}
