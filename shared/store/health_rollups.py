"""Rollups of health records: each figure of a host, and of its disks, by the hour.

They are written in the transaction of the rows they summarise; the order of arrival does not matter.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, Integer, and_, cast, delete, func, literal, select, true
from sqlalchemy.dialects.sqlite import insert

from shared.analytics.availability import DAY_MS, HOUR_MS
from shared.schema.records import Disk, Health
from shared.schema.timestamps import epoch_ms, from_epoch_ms, from_store, to_store
from shared.schema.units import metric_fields
from shared.store.tables import health_hours, health_metrics

HOST_FIELDS = {figure.wire: figure.attribute for figure in metric_fields(Health)}
"""Wire name → attribute of the figures of a host."""
DISK_FIELDS = {figure.wire: figure.attribute for figure in metric_fields(Disk)}
"""Wire name → attribute of the figures of a disk."""

_ADD = """
    INSERT INTO health_hours VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    samples = samples + excluded.samples, total = total + excluded.total,
    lowest = min(lowest, excluded.lowest), highest = max(highest, excluded.highest)
"""


def roll_up_hosts(connection: Connection, new: Iterable[Health]) -> None:
    """Add samples, just inserted, to the hours of their hosts."""
    values: dict[tuple[str, str, str, int], list[float]] = {}
    for health in new:
        hour = epoch_ms(health.at) // HOUR_MS
        for mount, name, value in _figures(health):
            values.setdefault((health.host, name, mount, hour), []).append(value)
    if values:
        rows = [(*key, len(own), sum(own), min(own), max(own)) for key, own in values.items()]
        connection.exec_driver_sql(_ADD, rows)


def _figures(health: Health) -> Iterator[tuple[str, str, float]]:
    for name, attribute in HOST_FIELDS.items():
        value = getattr(health, attribute)
        if value is not None:
            yield "", name, value
    for disk in health.disks:
        for name, attribute in DISK_FIELDS.items():
            value = getattr(disk, attribute)
            if value is not None:
                yield disk.mount, name, value


def remake_hosts(connection: Connection, host: str, day: int) -> None:
    """Make the hours of one day of a host again from its raw rows, as far back as these are stored."""
    column = health_metrics.c
    oldest = connection.execute(select(func.min(column.timestamp)).where(column.host == host)).scalar()
    if oldest is None:
        return
    begin = max(day * DAY_MS, epoch_ms(from_store(oldest)) // HOUR_MS * HOUR_MS)
    end = (day + 1) * DAY_MS
    if begin >= end:
        return
    inside = and_(column.host == host, column.timestamp >= _text(begin), column.timestamp < _text(end))
    hours = health_hours.c
    connection.execute(
        delete(health_hours).where(
            hours.host == host, hours.hour >= begin // HOUR_MS, hours.hour < end // HOUR_MS
        )
    )
    hour = cast(func.strftime("%s", column.timestamp), Integer) // (HOUR_MS // 1000)
    names = [one.name for one in health_hours.c]
    for name in HOST_FIELDS:
        value = column[name]
        rows = (
            _summarise(host, name, literal(""), hour, value).where(inside, value.is_not(None)).group_by(hour)
        )
        connection.execute(insert(health_hours).from_select(names, rows))
    each = func.json_each(column.disks).table_valued("value", joins_implicitly=True)
    mount = func.json_extract(each.c.value, "$.mount")
    for name in DISK_FIELDS:
        figure = func.json_extract(each.c.value, f"$.{name}")
        rows = (
            _summarise(host, name, mount, hour, figure)
            .select_from(health_metrics.join(each, true()))
            .where(inside, column.disks.is_not(None), figure.is_not(None))
            .group_by(mount, hour)
        )
        connection.execute(insert(health_hours).from_select(names, rows))


def _summarise(host: str, name: str, mount: Any, hour: Any, value: Any) -> Any:  # noqa: ANN401 - SQL expressions
    return select(
        literal(host),
        literal(name),
        mount,
        hour,
        func.count(value),
        func.sum(value),
        func.min(value),
        func.max(value),
    )


def _text(moment: int) -> str:
    return to_store(from_epoch_ms(moment))
