"""Backups over HTTP: the newest one in the overview, all of them, and a request for one more."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from redis import Redis

from services.dashboard.app import create_dashboard_app
from services.dashboard.data_sources import DataSources
from services.jobs.scheduler import JobScheduler
from services.jobs.worker import job_queue
from shared.runtime.backups import FOLDER, write_backup
from shared.schema.backups import Backup
from shared.store.database import Database
from tests.unit.dashboard.conftest import LINKS, SETTINGS
from tests.unit.dashboard.sample_data import NOON, get_json

GOOD = Backup(
    id="botwatch-20260131T021700Z",
    file="botwatch-20260131T021700Z.tar.zst",
    bytes=5,
    sha256="ab",
    verified_at=NOON,
    verified_by="trial restore",
)
DAMAGED = Backup(
    id="botwatch-20260131T031700Z",
    file="botwatch-20260131T031700Z.tar.zst",
    bytes=5,
    sha256="",
    error="it is damaged",
)


@pytest.fixture
def client(redis: Redis, performance: Database, health: Database, tmp_path: Path) -> FlaskClient:
    """Return a client of a dashboard with two backups, the newer one damaged."""
    (tmp_path / FOLDER).mkdir(parents=True)
    for backup in (GOOD, DAMAGED):
        (tmp_path / FOLDER / backup.file).write_bytes(b"12345")
        write_backup(tmp_path, backup)
    sources = DataSources(redis, performance, health, tmp_path)
    return create_dashboard_app(SETTINGS, sources, LINKS, lambda: NOON).test_client()


def test_the_overview_shows_the_newest_verified_backup(client: FlaskClient) -> None:
    """A damaged one, though newer, is none."""
    found = get_json(client, "/api/monitoring")["system"]["backup"]
    assert (found["id"], found["bytes"], found["verifiedAt"]) == (GOOD.id, 5, "2026-01-31T12:00:00.000Z")


def test_all_backups_are_listed_newest_first(client: FlaskClient) -> None:
    """With why one is damaged."""
    found = get_json(client, "/api/monitoring/backups")
    assert [(one["id"], one["error"]) for one in found] == [(DAMAGED.id, "it is damaged"), (GOOD.id, None)]


def test_a_requested_backup_is_enqueued_once(client: FlaskClient, redis: Redis, health: Database) -> None:
    """The dashboard asks the jobs part, which alone may write the queue; the audit log says who asked."""
    for _ in range(2):
        response = client.post("/api/monitoring/backups")
        assert (response.status_code, response.json) == (202, {"job": "backup", "status": "requested"})
    with health.read() as connection:
        [row, _] = connection.exec_driver_sql("SELECT action FROM audit_log WHERE action LIKE 'b%'").all()
    assert row[0] == "backup.request"
    JobScheduler.enqueue_requested(redis)
    JobScheduler.enqueue_requested(redis)
    assert [job.func_name for job in job_queue(redis).get_jobs()] == ["backup"]


def test_a_request_for_something_else_is_ignored(redis: Redis) -> None:
    """Redis names no code to run: only registered jobs are enqueued."""
    redis.sadd("botwatch:jobs:requests", "os.system", b"\xff")
    JobScheduler.enqueue_requested(redis)
    assert job_queue(redis).get_jobs() == []
