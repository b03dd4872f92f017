"""Database sizes job: measures both databases once a day; and the metrics of what it measured."""

from collections.abc import Iterator, Mapping

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from services.jobs.context import JobContext
from shared.store.database import Database
from shared.store.database_sizes import measure_tables, read_growth, save_sizes

log = structlog.get_logger()


def store_sizes(context: JobContext) -> Mapping[str, int]:
    """Measure every table and store the sizes of this day; return the bytes of both databases."""
    sizes = {name: database.file_bytes() for name, database in context.databases.items()}
    tables = {name: measure_tables(database) for name, database in context.databases.items()}
    with context.health.write() as connection:
        for name, size in sizes.items():
            save_sizes(connection, name, size, tables[name], context.now())
    return sizes


class SizeMetrics(Collector):
    """Size of each database now, and the rows of its tables as last measured."""

    def __init__(self, databases: Mapping[str, Database]) -> None:
        self._databases = databases

    def describe(self) -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
        """Return the families without samples."""
        return (
            GaugeMetricFamily(
                "botwatch_database_size_bytes",
                "Size of a database with its write-ahead log.",
                labels=["database"],
            ),
            GaugeMetricFamily(
                "botwatch_table_rows", "Rows of a table, measured once a day.", labels=["database", "table"]
            ),
        )

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read the samples; no rows while the health database cannot be read."""
        size, rows = self.describe()
        for name, database in self._databases.items():
            size.add_metric([name], database.file_bytes())
        try:
            with self._databases["health"].read() as connection:
                measured = {name: read_growth(connection, name) for name in self._databases}
        except SQLAlchemyError as error:
            log.warning("sizes of tables cannot be read", error=str(error).partition("\n")[0])
            measured = {}
        for name, growth in measured.items():
            for table, found in growth.tables.items() if growth else ():
                rows.add_metric([name, table], found.rows or 0)
        yield from (size, rows)
