"""A restore replaces the state, keeps the old one, and can be killed at any step."""

import errno
import io
import os
import shutil
import signal
import sqlite3
import sys
import tarfile
import warnings
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from backports import zstd

from services.jobs.backups.archive import MANIFEST
from services.jobs.backups.create import create_backup
from services.jobs.backups.errors import BackupError, DamagedBackupError
from services.jobs.backups.journal import read_journal
from services.jobs.backups.restore import Request, restore_backup, restore_into
from services.jobs.backups.workspace import STAGED, Sources
from services.jobs.config import JobsSettings
from shared.runtime.audit_key import audit_key
from shared.runtime.backups import interrupted_restore, list_backups
from shared.schema.backups import Backup
from shared.store.audit import AuditEntry, append_audit, verify_audit
from shared.store.database import Database, sqlite_url
from shared.store.migrate import migrate, newest_revision
from tests.releases import unpack
from tests.unit.jobs.backups.conftest import KEY, count_equity, insert_equity

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SETTINGS = JobsSettings(botwatch_key=KEY)


def silent(_text: str) -> None:
    """Show nothing."""


def create(sources: Sources) -> Backup:
    return create_backup(sources, SETTINGS, lambda: NOON, silent)


def request(sources: Sources, file: str) -> Request:
    return Request(sources.folder / file, [], KEY, "os:alice", NOON + timedelta(hours=1))


def killed_at(step: int, work: Callable[[], object], wanted: tuple[str, ...]) -> bool:
    """Run `work` in a child that is killed before its `step`-th change of the file system; say if it was."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads of pytest
        child = os.fork()
    if child == 0:
        left = [step]

        def count(event: str, _arguments: object) -> None:
            if event in wanted:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


CHANGES = ("os.rename", "os.remove", "os.mkdir", "shutil.rmtree")


def test_a_restore_brings_back_what_was_and_keeps_what_is(sources: Sources) -> None:
    """The databases are those of the backup; the newer ones are moved aside, with their write-ahead logs."""
    backup = create(sources)
    performance = sources.databases["performance"]
    with closing(sqlite3.connect(performance)) as reader:  # keeps the write-ahead log
        reader.execute("SELECT count(*) FROM equity").fetchone()
        insert_equity(performance, 7)
        shutil.copytree(performance.parent, performance.parent.with_name("copy"))
    shutil.rmtree(performance.parent)
    performance.parent.with_name("copy").rename(performance.parent)
    done = restore_backup(sources, request(sources, backup.file), silent)
    assert count_equity(performance) == 10
    aside = sources.folder / "before-restore-20260131T130000Z"
    assert Path(done.aside) == aside
    assert (aside / "performance_metrics.db-wal").stat().st_size > 0
    assert count_equity(aside / "performance_metrics.db") == 17
    assert [path for path in sources.home.rglob("*") if STAGED in path.name] == []


def test_an_older_schema_is_migrated(sources: Sources) -> None:
    """A backup of an earlier release is restored at the schema of this one."""
    earlier = sources.home.parent / "earlier"
    unpack("0.1.0", earlier)
    shutil.copy(earlier / "data" / "monitoring" / "performance_metrics.db", sources.databases["performance"])
    backup = create(sources)
    restore_backup(sources, request(sources, backup.file), silent)
    with closing(sqlite3.connect(sources.databases["performance"])) as connection:
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    assert revision == newest_revision("performance")


def test_a_schema_from_the_future_is_refused(sources: Sources) -> None:
    """The sentence names the schema and what to do; nothing is changed."""
    with closing(sqlite3.connect(sources.databases["health"])) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    backup = create(sources)
    insert_equity(sources.databases["performance"], 1)
    with pytest.raises(BackupError, match=r"does not know schema 9999 of databases/system_health\.db"):
        restore_backup(sources, request(sources, backup.file), silent)
    assert count_equity(sources.databases["performance"]) == 11
    assert read_journal(sources) is None


def test_a_format_from_the_future_is_refused(sources: Sources) -> None:
    """Only its number is read."""
    archive = sources.folder / "botwatch-20260131T120000Z.tar.zst"
    sources.folder.mkdir(parents=True)
    write_tar(archive, {MANIFEST: b'{"format": 2, "new": true}'})
    with pytest.raises(BackupError, match=r"has format 2; this Botwatch .* reads up to 1"):
        restore_backup(sources, request(sources, archive.name), silent)


def write_tar(path: Path, files: dict[str, bytes]) -> None:
    with zstd.open(path, "wb") as out, tarfile.open(fileobj=out, mode="w|") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped", "unknown"])  # noqa: S108 - must not be written
def test_a_file_that_the_manifest_does_not_have_is_refused(sources: Sources, name: str) -> None:
    """Above all one that leads out of the folder, even if a manifest lists it."""
    backup = create(sources)
    manifest = backup.manifest
    assert manifest
    listed = {"path": name, "bytes": 1, "sha256": ""} if name != "unknown" else None
    fields = msgspec.to_builtins(manifest) | {"files": [listed] if listed else []}
    write_tar(sources.folder / backup.file, {MANIFEST: msgspec.json.encode(fields), name: b"x"})
    with pytest.raises(DamagedBackupError, match="is damaged: its manifest has no such"):
        restore_backup(sources, request(sources, backup.file), silent)
    assert not list(sources.home.parent.rglob("escaped"))


@pytest.mark.parametrize("content", [b"", b"no archive at all"])
def test_what_is_no_archive_is_refused(sources: Sources, content: bytes) -> None:
    """In one sentence that names the file."""
    backup = create(sources)
    (sources.folder / backup.file).write_bytes(content)
    with pytest.raises(DamagedBackupError, match=backup.file):
        restore_backup(sources, request(sources, backup.file), silent)


def test_keys_come_back_and_passwords_stay(sources: Sources) -> None:
    """A key belongs to the data; a password that is in use may be newer, and one that is gone is restored."""
    backup = create(sources)
    (sources.home / "data" / "link.key").write_bytes(b"n" * 32)
    password = sources.home / "secrets" / "bot" / "redis-url"
    password.write_text("redis://bot:newer@127.0.0.1/0\n")
    done = restore_backup(sources, request(sources, backup.file), silent)
    assert (sources.home / "data" / "link.key").read_bytes() == b"k" * 32
    assert (Path(done.aside) / "link.key").read_bytes() == b"n" * 32
    assert "newer" in password.read_text()
    shutil.rmtree(sources.home / "secrets" / "bot")
    restore_backup(sources, request(sources, backup.file), silent)
    assert "geheim" in password.read_text()
    assert password.stat().st_mode & 0o777 == 0o600


def test_passwords_are_replaced_if_asked_for(sources: Sources, tmp_path: Path) -> None:
    """From a folder elsewhere, as in compose; the others are kept by the names of their users."""
    elsewhere = sources._replace(secrets_folder=tmp_path / "volume")
    (sources.home / "secrets").rename(elsewhere.secrets)
    (elsewhere.secrets / "notifier").mkdir()
    (elsewhere.secrets / "notifier" / "redis-url").write_text("redis://notifier:old@127.0.0.1/0\n")
    backup = create(elsewhere)
    assert backup.manifest
    assert backup.manifest.secrets == "encrypted"
    for user in ("bot", "notifier"):
        (elsewhere.secrets / user / "redis-url").write_text(f"redis://{user}:newer@127.0.0.1/0\n")
        (elsewhere.secrets / user / "redis-url").chmod(0o640)
    wanted = request(elsewhere, backup.file)
    restore_backup(elsewhere, wanted, silent)
    assert "newer" in (elsewhere.secrets / "bot" / "redis-url").read_text()
    done = restore_backup(elsewhere, wanted._replace(passwords=True, now=NOON + timedelta(hours=2)), silent)
    for user, password in (("bot", "geheim"), ("notifier", "old")):
        restored = elsewhere.secrets / user / "redis-url"
        assert password in restored.read_text()
        assert restored.stat().st_mode & 0o777 == 0o640
        assert f"{user}:newer" in (Path(done.aside) / user / "redis-url").read_text()
    assert any("docker compose down" in note for note in done.notes)


def test_files_move_between_mounts_of_one_device(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    """In compose each volume is a mount: a file is copied then, and nothing is left behind."""
    backup = create(sources)
    (sources.home / "data" / "link.key").write_bytes(b"n" * 32)
    replace = Path.replace

    def within_one_mount(path: Path, target: Path) -> Path:
        if path.parent != Path(target).parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", within_one_mount)
    done = restore_backup(sources, request(sources, backup.file), silent)
    assert (sources.home / "data" / "link.key").read_bytes() == b"k" * 32
    assert (Path(done.aside) / "link.key").read_bytes() == b"n" * 32
    assert [path for path in sources.home.rglob("*") if path.suffix in (STAGED, ".partial")] == []


def test_config_documents_are_kept_beside(sources: Sources) -> None:
    """They may be under version control: those that differ are put where the note says."""
    backup = create(sources)
    (sources.config / "notifications.yml").write_text("channels: [changed]\n")
    done = restore_backup(sources, request(sources, backup.file), silent)
    assert (sources.config / "notifications.yml").read_text() == "channels: [changed]\n"
    kept = sources.folder / f"config-of-{backup.id}" / "notifications.yml"
    assert kept.read_text() == "channels: []\n"
    assert any(str(kept.parent) in note and "notifications.yml" in note for note in done.notes)


def test_the_audit_log_goes_on_after_a_restore(sources: Sources) -> None:
    """The restore is its newest entry, by whom it was; the chain is whole, its head belongs to it."""
    key = audit_key(sources.home, {})
    backup = create(sources)
    restore_backup(sources, request(sources, backup.file), silent)
    database = Database(sqlite_url(sources.databases["health"]))
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT action, subject, by FROM audit_log ORDER BY id").all()
        report = verify_audit(connection, key)
    database.close()
    assert tuple(rows[-1]) == ("backup.restore", backup.id, "os:alice")
    assert report.fault is None


def test_without_its_key_an_audit_log_is_begun_anew(sources: Sources) -> None:
    """A backup without secrets says so on another machine; docs/operations.md has the way on."""
    audit_key(sources.home, {})
    backup = create_backup(sources, JobsSettings(), lambda: NOON, silent)
    first = restore_backup(sources, request(sources, backup.file), silent)
    assert not any("another key" in note for note in first.notes)
    backup = create_backup(sources, JobsSettings(), lambda: NOON, silent)
    for path in (sources.home / "data" / "audit.head", sources.home / "secrets" / "audit.key"):
        path.unlink()
    audit_key(sources.home, {})
    later = request(sources, backup.file)._replace(now=NOON + timedelta(hours=2))
    done = restore_backup(sources, later, silent)
    assert any("until then Botwatch does not start" in note for note in done.notes)
    health = sources.databases["health"]
    with closing(sqlite3.connect(health)) as connection:
        connection.execute("DELETE FROM audit_log")
        connection.commit()
    for path in (sources.home / "data" / "audit.head", sources.home / "secrets" / "audit.key"):
        path.unlink()
    database, key = Database(sqlite_url(health)), audit_key(sources.home, {})
    with database.write() as connection:
        entry = AuditEntry(action="botwatch.start", actor="os:alice", target="botwatch")
        append_audit(connection, entry, NOON, key)
    with database.read() as connection:
        report = verify_audit(connection, key)
    database.close()
    assert (report.entries, report.fault) == (1, None)


def test_a_backup_is_extracted_into_a_folder(sources: Sources, tmp_path: Path) -> None:
    """The state is not touched; a folder with content is refused."""
    backup = create(sources)
    insert_equity(sources.databases["performance"], 1)
    folder = tmp_path / "out"
    restore_into(folder, request(sources, backup.file), silent)
    assert count_equity(folder / "databases" / "performance_metrics.db") == 10
    assert (folder / "with-secrets" / "data" / "link.key").read_bytes() == b"k" * 32
    assert count_equity(sources.databases["performance"]) == 11
    with pytest.raises(BackupError, match="choose a folder that does not exist"):
        restore_into(folder, request(sources, backup.file), silent)


@pytest.mark.slow
def test_a_backup_killed_at_any_step_leaves_no_half_one(sources: Sources) -> None:
    """What is listed after each kill is whole, and the next run deletes the rest."""
    step = 0
    while killed_at(step := step + 1, lambda: create(sources), ("os.rename", "shutil.rmtree", "os.mkdir")):
        assert [one for one in list_backups(sources.home) if not one.verified_at] == []
        before = len(list_backups(sources.home))
        (sources.folder / ".work").mkdir(parents=True, exist_ok=True)
    assert step > 6
    assert before == 1  # killed after the last step, it is there
    create(sources)
    assert {path.suffix for path in sources.folder.iterdir()} == {"", ".json", ".zst"}
    assert not (sources.folder / ".work").exists()
    assert len(list_backups(sources.home)) == before + 2


@pytest.mark.slow
def test_a_restore_killed_before_it_replaces_files_changes_nothing(sources: Sources) -> None:
    """Up to the journal the old state is what is used; the next restore starts over."""
    backup = create(sources)
    insert_equity(sources.databases["performance"], 7)
    step = 0
    while killed_at(step := step + 3, lambda: _restore(sources, backup), ("os.rename",)):
        if interrupted_restore(sources.home):
            break
        assert count_equity(sources.databases["performance"]) == 17
    assert interrupted_restore(sources.home) == backup.id
    _restore(sources, backup)
    assert count_equity(sources.databases["performance"]) == 10


def _restore(sources: Sources, backup: Backup) -> None:
    restore_backup(sources, request(sources, backup.file), silent)


@pytest.mark.slow
def test_a_restore_killed_while_it_replaces_files_is_completed(sources: Sources, tmp_path: Path) -> None:
    """At every step: run again, it ends with the state of the backup, and the old one whole and aside."""
    backup = create(sources)
    (sources.home / "data" / "link.key").write_bytes(b"n" * 32)
    insert_equity(sources.databases["performance"], 7)
    stop_at_journal(sources, backup)
    shutil.copytree(sources.home, tmp_path / "prepared")
    step = 0
    while killed_at(step := step + 1, lambda: _restore(sources, backup), CHANGES):
        assert interrupted_restore(sources.home) in (backup.id, None)
        if interrupted_restore(sources.home):
            _restore(sources, backup)
        assert count_equity(sources.databases["performance"]) == 10
        assert (sources.home / "data" / "link.key").read_bytes() == b"k" * 32
        aside = sources.folder / "before-restore-20260131T130000Z"
        assert count_equity(aside / "performance_metrics.db") == 17
        assert (aside / "link.key").read_bytes() == b"n" * 32
        assert (aside / "system_health.db").exists()
        assert not list(sources.home.rglob(f"*{STAGED}"))
        shutil.rmtree(sources.home)
        shutil.copytree(tmp_path / "prepared", sources.home)
    assert step > 8


def stop_at_journal(sources: Sources, backup: Backup) -> None:
    """Leave a restore that has written its journal and replaced nothing."""

    def told(text: str) -> None:
        if text == "replacing the files":
            os.kill(os.getpid(), signal.SIGKILL)

    assert killed_at(0, lambda: restore_backup(sources, request(sources, backup.file), told), ())
    assert interrupted_restore(sources.home) == backup.id


def test_a_fresh_home_gets_everything(sources: Sources, tmp_path: Path) -> None:
    """On a new machine, with only the archive: databases, keys and passwords are there."""
    backup = create(sources)
    fresh = Sources(
        tmp_path / "fresh",
        sources.config,
        {name: tmp_path / "fresh" / "data" / path.name for name, path in sources.databases.items()},
    )
    there = request(sources, backup.file)
    restore_backup(fresh, there, silent)
    assert count_equity(fresh.databases["performance"]) == 10
    assert (fresh.home / "secrets" / "bot" / "redis-url").exists()
    database = Database(sqlite_url(fresh.databases["health"]))
    assert migrate(database, "health") == newest_revision("health")
    database.close()
