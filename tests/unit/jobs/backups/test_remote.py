"""Backups in S3-compatible storage: uploaded once verified, complete or not there, kept by the same rules."""

import secrets
import shutil
import threading
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from msgspec.structs import replace

from services.jobs.backups.create import create_backup
from services.jobs.backups.errors import BackupError
from services.jobs.backups.remote import RemoteFolder, upload_missing
from services.jobs.backups.workspace import Sources
from services.jobs.config import JobsSettings
from shared.runtime.backups import list_backups
from shared.schema.backups import Backup
from tests.support import free_port
from tests.unit.jobs.backups.fake_s3 import FakeS3, fake_s3

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
URL = "s3://bucket/some/prefix"


@pytest.fixture
def server() -> Iterator[FakeS3]:
    """Yield an S3 server."""
    with fake_s3() as server:
        yield server


def settings_of(endpoint: str) -> JobsSettings:
    return JobsSettings(
        backup_url=URL, backup_endpoint=endpoint, backup_access_key_id="ID", backup_secret_access_key="geheim"
    )


def silent(_text: str) -> None:
    """Show nothing."""


def create(sources: Sources, at: datetime = NOON) -> Backup:
    return create_backup(sources, JobsSettings(), lambda: at, silent)


def upload(sources: Sources, server: FakeS3) -> list[str]:
    return upload_missing(sources, settings_of(server.url), lambda: NOON, silent)


def test_a_backup_is_uploaded_once_and_comes_back(sources: Sources, server: FakeS3) -> None:
    """The archive and what is known of it; a second run uploads nothing; the download is the same file."""
    backup = create(sources)
    assert upload(sources, server) == [backup.id]
    assert upload(sources, server) == []
    assert set(server.objects) == {
        f"bucket/some/prefix/{backup.id}.json",
        f"bucket/some/prefix/{backup.file}",
    }
    assert list_backups(sources.home)[0].uploaded_at == NOON
    assert all("AWS4-HMAC-SHA256 Credential=ID/" in one for one in server.authorizations)
    remote = RemoteFolder(URL, settings_of(server.url))
    assert [one.id for one in remote.backups()] == [backup.id]
    original = (sources.folder / backup.file).read_bytes()
    assert remote.download(backup.file, sources.home, silent).read_bytes() == original


def test_a_large_archive_is_uploaded_in_parts(sources: Sources, server: FakeS3) -> None:
    """If it breaks off, nothing of it is listed; the next run uploads all of it, and the local one stays."""
    (sources.config / "noise.json").write_bytes(secrets.token_bytes(2**20))
    (sources.config / "templates").mkdir()
    for number in range(11):
        (sources.config / "templates" / str(number)).write_bytes(secrets.token_bytes(2**20))
    backup = create(sources)
    server.fail_parts = True
    with pytest.raises(BackupError, match=f"{URL}: {backup.id} cannot be uploaded"):
        upload(sources, server)
    assert server.objects == {}
    assert list_backups(sources.home)[0].uploaded_at is None
    server.fail_parts = False
    assert upload(sources, server) == [backup.id]
    assert server.objects[f"bucket/some/prefix/{backup.file}"] == (sources.folder / backup.file).read_bytes()


def test_a_server_that_is_down_is_said_in_one_sentence(sources: Sources) -> None:
    """Without the secret; the backup here stays."""
    create(sources)
    with pytest.raises(BackupError, match=f"{URL}: cannot be listed") as caught:
        settings = settings_of(f"http://127.0.0.1:{free_port()}")
        upload_missing(sources, settings, lambda: NOON, silent)
    assert "geheim" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(list_backups(sources.home)) == 1


class Echo(BaseHTTPRequestHandler):
    """Refuses, and repeats what it was sent."""

    def do_GET(self) -> None:
        """Answer."""
        body = str(self.headers).encode()
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def test_a_server_that_repeats_the_credentials_is_quoted_without_them(sources: Sources) -> None:
    """Neither in the sentence nor in the traceback that the log of the jobs has."""
    create(sources)
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = replace(
            settings_of(f"http://127.0.0.1:{server.server_port}"), backup_access_key_id="AKIA7"
        )
        with pytest.raises(BackupError, match="cannot be listed") as raised:
            upload_missing(sources, settings, lambda: NOON, silent)
        server.shutdown()
    assert "Credential=***/" in str(raised.value)
    assert "AKIA7" not in "".join(traceback.format_exception(raised.value))


def test_the_same_rules_keep_backups_there(sources: Sources, server: FakeS3) -> None:
    """Old ones are deleted; an archive without what completes it is the rest of an upload, and goes too."""
    for days in range(9):
        create(sources, NOON + timedelta(days=days))
    upload(sources, server)
    shutil.rmtree(sources.folder)
    rest = "bucket/some/prefix/botwatch-20200101T000000Z.tar.zst"
    server.objects |= {rest: b"half", "bucket/some/prefix/other.txt": b"not ours"}
    newest = create(sources, NOON + timedelta(days=9))
    upload(sources, server)
    there = [one.id for one in RemoteFolder(URL, settings_of(server.url)).backups()]
    assert newest.id in there
    assert "botwatch-20260202T120000Z" not in there
    assert len(there) == 9  # seven days, and the Sundays and the month's last before them
    assert rest not in server.objects
    assert "bucket/some/prefix/other.txt" in server.objects


def test_an_address_that_is_none_is_refused() -> None:
    """At the start, not at night."""
    with pytest.raises(Exception, match="BACKUP_URL: expected s3://BUCKET/PREFIX"):
        JobsSettings(backup_url="ftp://somewhere").validated()
    with pytest.raises(Exception, match="BACKUP_SCHEDULE: expected a cron expression"):
        JobsSettings(backup_schedule="daily").validated()
