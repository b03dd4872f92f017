"""Tracks of rules in the store: written over, removed by the thousand, apart by partition."""

from shared.store.database import Database
from shared.store.rule_state import load_rule_states, save_rule_states


def test_tracks_are_written_over_and_removed_however_many_there_are(health: Database) -> None:
    many = {f"key-{number}": "{}" for number in range(40_000)}
    with health.write() as connection:
        save_rule_states(connection, 0, many | {"kept": "old"}, [])
        save_rule_states(connection, 1, {"kept": "other"}, [])
        save_rule_states(connection, 0, {"kept": "new"}, many)
    with health.read() as connection:
        assert load_rule_states(connection, 0) == {"kept": "new"}
        assert load_rule_states(connection, 1) == {"kept": "other"}
