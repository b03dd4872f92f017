"""Hosts in the API: their figures over time, from raw records and from hours."""

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.schema.records import Disk, Health
from shared.store.database import Database
from shared.store.health_rollups import roll_up_hosts
from shared.store.records import insert_records
from shared.store.tables import health_metrics
from tests.unit.dashboard.sample_data import NOON, body, get_json

API = "/api/monitoring/health/history"


def sample(seconds_ago: float, usage: float) -> Health:
    disks = [
        Disk(mount="/", usage=usage, total_bytes=100, free_bytes=50),
        Disk(mount="/data", usage=9, total_bytes=100, free_bytes=91),
    ]
    at = NOON - timedelta(seconds=seconds_ago)
    return Health(host="box", timestamp=at, cpu_usage=usage, clock_offset_ms=-1.5, disks=disks)


@pytest.fixture
def sampled(health: Database) -> None:
    """Store samples of two hours, raw and rolled up."""
    samples = [sample(7000, 10), sample(6990, 30), sample(1800, 50), sample(0, 80)]
    with health.write() as connection:
        insert_records(connection, samples)
        roll_up_hosts(connection, samples)


def summaries(found: Any) -> dict[str, list[Any]]:
    return {
        f"{one['field']} {one['mount'] or ''}".strip(): [one["mean"], one["min"], one["max"]]
        for one in found["series"]
    }


@pytest.mark.usefixtures("sampled")
def test_raw_records_and_hours_say_the_same(client: FlaskClient, health: Database) -> None:
    query = "host=box&from=2026-01-31T10:00:00Z&fields=cpuUsage,clockOffsetMs,usage"
    expected = {
        "clockOffsetMs": [[-1.5, -1.5, -1.5]] * 3,
        "cpuUsage": [[20, 50, 80], [10, 50, 80], [30, 50, 80]],
        "usage /": [[20, 50, 80], [10, 50, 80], [30, 50, 80]],
        "usage /data": [[9, 9, 9]] * 3,
    }
    raw = get_json(client, f"{API}?{query}&step=30m")
    assert (raw["resolution"], raw["step"]) == ("raw", 1800)
    assert summaries(raw) == expected
    with health.write() as connection:
        connection.execute(health_metrics.delete())
    hours = get_json(client, f"{API}?{query}&step=1h")
    assert (hours["resolution"], hours["timestamps"]) == (
        "hour",
        ["2026-01-31T10:00:00Z", "2026-01-31T11:00:00Z", "2026-01-31T12:00:00Z"],
    )
    assert summaries(hours) == expected
    wide = get_json(client, f"{API}?{query}&step=1d&fields=usage")
    assert summaries(wide)["usage /"] == [[42.5], [10], [80]]
    assert [one["unit"] for one in wide["series"]] == ["milliseconds", *["percent"] * 3]


@pytest.mark.usefixtures("sampled")
def test_a_table_has_a_line_per_figure_and_time(client: FlaskClient) -> None:
    lines = client.get(f"{API}?host=box&step=1h&fields=cpuUsage&format=csv").text.splitlines()
    assert lines[:2] == [
        "timestamp,field,mount,unit,mean,min,max",
        "2026-01-31T10:00:00Z,cpuUsage,,percent,20.0,10.0,30.0",
    ]


@pytest.mark.parametrize(
    ("query", "status"),
    [("host=nowhere", 404), ("", 400), ("host=box&fields=cpu", 400), ("host=box&step=90m", 400)],
)
def test_what_is_unknown_is_refused(client: FlaskClient, query: str, status: int) -> None:
    answer = client.get(f"{API}?{query}")
    assert answer.status_code == status
    assert body(answer)["error"]
