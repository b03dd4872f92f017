"""Rule states: JSON by key, as of the log offset of the reader `evaluator-tracks`."""

from collections.abc import Iterable, Mapping

import msgspec
from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects.sqlite import insert

from shared.store.tables import PARTITION, rule_tracks

_NEW = insert(rule_tracks)
_PUT = _NEW.on_conflict_do_update(index_elements=["partition", "key"], set_={"track": _NEW.excluded.track})
_REMOVE = delete(rule_tracks).where(
    rule_tracks.c.partition == PARTITION, rule_tracks.c.key == bindparam("name")
)


def load_rule_states(connection: Connection, rule: str | None = None) -> dict[str, str]:
    """Return all rule states, or those of one rule, as JSON by key."""
    query = select(rule_tracks.c.key, rule_tracks.c.track).where(rule_tracks.c.partition == PARTITION)
    if rule is not None:  # a key is a JSON array that begins with the rule's name
        begin = f"[{msgspec.json.encode(rule).decode()},"
        query = query.where(rule_tracks.c.key.startswith(begin, autoescape=True))
    return {row.key: row.track for row in connection.execute(query)}


def save_rule_states(connection: Connection, tracks: Mapping[str, str], gone: Iterable[str]) -> None:
    """Insert or replace rule states by key, and delete those whose keys are in `gone`."""
    rows = [{"partition": PARTITION, "key": key, "track": track} for key, track in tracks.items()]
    if rows:
        connection.execute(_PUT, rows)
    removed = [{"name": key} for key in gone]
    if removed:
        connection.execute(_REMOVE, removed)
