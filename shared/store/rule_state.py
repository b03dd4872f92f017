"""What rules remember of bots and hosts, with the position in the log up to which that is so."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects.sqlite import insert

from shared.store.tables import rule_tracks

_REMOVE = delete(rule_tracks).where(
    rule_tracks.c.partition == bindparam("of"), rule_tracks.c.key == bindparam("name")
)


def load_rule_states(connection: Connection, partition: int) -> dict[str, str]:
    """Return every track as JSON, by its key."""
    query = select(rule_tracks.c.key, rule_tracks.c.track).where(rule_tracks.c.partition == partition)
    return {row.key: row.track for row in connection.execute(query)}


def save_rule_states(
    connection: Connection, partition: int, tracks: Mapping[str, str], gone: Iterable[str]
) -> None:
    """Write tracks in place of what stood under their keys, and remove those that are gone."""
    rows = [{"partition": partition, "key": key, "track": track} for key, track in tracks.items()]
    if rows:
        statement = insert(rule_tracks)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["partition", "key"], set_={"track": statement.excluded.track}
            ),
            rows,
        )
    removed = [{"of": partition, "name": key} for key in gone]
    if removed:
        connection.execute(_REMOVE, removed)
