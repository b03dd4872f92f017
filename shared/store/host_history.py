"""Host history: the figures of a host and of its disks in each time bucket, from raw rows or hours."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, and_, exists, func, select, true

from shared.analytics.availability import HOUR_MS
from shared.schema.timestamps import epoch_ms, from_store
from shared.store.due_rollups import has_due_days
from shared.store.health_rollups import DISK_FIELDS, HOST_FIELDS
from shared.store.sampling import intervals
from shared.store.tables import health_hours, health_metrics
from shared.store.time_buckets import HOUR, Resolution, TimeBuckets


class FigureSummary(NamedTuple):
    """A figure in one time bucket."""

    mean: float
    lowest: float
    highest: float


Summaries = dict[datetime, FigureSummary]
"""Start of a bucket → the figure in it; none without a sample."""


class HostHistory(NamedTuple):
    """The figures by field and mount; the mount is empty for those of the host itself."""

    resolution: Resolution
    series: dict[tuple[str, str], Summaries]


def has_host(connection: Connection, host: str) -> bool:
    """Return whether a host has sent any health record that is stored, raw or by the hour."""
    tables = (health_metrics, health_hours)
    return any(connection.execute(select(exists().where(table.c.host == host))).scalar() for table in tables)


def host_history(connection: Connection, host: str, fields: Sequence[str], steps: TimeBuckets) -> HostHistory:
    """Return the history of `fields` of a host; those of disks are there for every mount.

    Buckets of whole hours come from the rollups, unless these are still to be made.
    """
    if steps.width % HOUR or has_due_days(connection, host, "", steps.start, steps.end):
        return HostHistory("raw", _raw(connection, host, fields, steps))
    return HostHistory("hour", _from_hours(connection, host, fields, steps))


def _from_hours(
    connection: Connection, host: str, fields: Sequence[str], steps: TimeBuckets
) -> dict[tuple[str, str], Summaries]:
    column = health_hours.c
    first = epoch_ms(steps.start) // HOUR_MS
    bucket = (column.hour - first) // (steps.width // HOUR)
    rows = (
        select(
            column.field,
            column.mount,
            bucket,
            func.sum(column.total) / func.sum(column.samples),
            func.min(column.lowest),
            func.max(column.highest),
        )
        .where(
            column.host == host,
            column.field.in_(fields),
            column.hour >= first,
            column.hour < epoch_ms(steps.end) // HOUR_MS,
        )
        .group_by(column.field, column.mount, bucket)
        .order_by(column.field, column.mount, bucket)
    )
    found: dict[tuple[str, str], Summaries] = defaultdict(dict)
    for field, mount, place, *summary in connection.execute(rows):
        found[field, mount][steps.start + place * steps.width] = FigureSummary(*summary)
    return found


def _raw(
    connection: Connection, host: str, fields: Sequence[str], steps: TimeBuckets
) -> dict[tuple[str, str], Summaries]:
    column = health_metrics.c
    each = intervals([(since, since, until) for since, until in steps.between(steps.start, steps.end)])
    inside = and_(column.host == host, column.timestamp >= each.c.since, column.timestamp < each.c.until)
    found: dict[tuple[str, str], Summaries] = defaultdict(dict)

    def add(names: Sequence[str], mount: str, since: str, numbers: Iterable[float | None]) -> None:
        values = iter(numbers)
        for name, mean, lowest, highest in zip(names, values, values, values, strict=False):
            if mean is not None and lowest is not None and highest is not None:
                found[name, mount][from_store(since)] = FigureSummary(mean, lowest, highest)

    if own := [name for name in fields if name in HOST_FIELDS]:
        figures = [end(column[name]) for name in own for end in (func.avg, func.min, func.max)]
        rows = select(each.c.since, *figures).select_from(each.join(health_metrics, inside))
        for since, *numbers in connection.execute(rows.group_by(each.c.since).order_by(each.c.since)):
            add(own, "", since, numbers)
    if of_disks := [name for name in fields if name in DISK_FIELDS]:
        disk = func.json_each(column.disks).table_valued("value", joins_implicitly=True)
        mount = func.json_extract(disk.c.value, "$.mount")
        values = {name: func.json_extract(disk.c.value, f"$.{name}") for name in of_disks}
        figures = [end(values[name]) for name in of_disks for end in (func.avg, func.min, func.max)]
        source = each.join(health_metrics, inside).join(disk, true())
        rows = select(each.c.since, mount, *figures).select_from(source).where(column.disks.is_not(None))
        for since, where, *numbers in connection.execute(
            rows.group_by(each.c.since, mount).order_by(each.c.since)
        ):
            add(of_disks, where, since, numbers)
    return found
