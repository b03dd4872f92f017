"""A backup is complete, private and verified, or it is not there."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyrage
import pytest

from services.jobs.backups import workspace
from services.jobs.backups.archive import extract_archive, read_identities
from services.jobs.backups.create import create_backup, delete_expired, verify_backup
from services.jobs.backups.errors import BackupError, DamagedBackupError
from services.jobs.backups.secret_files import read_secrets
from services.jobs.backups.workspace import Sources, locked_folder
from services.jobs.config import JobsSettings
from shared.runtime.backups import list_backups, newest_verified, write_backup
from shared.schema.backups import READERS, Backup
from shared.store.log_offsets import RULE_STATE_READER
from tests.unit.jobs.backups.conftest import KEY, POSITIONS, insert_equity

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def silent(_text: str) -> None:
    """Show nothing."""


def create(sources: Sources, at: datetime = NOON, **settings: Any) -> Backup:
    return create_backup(sources, JobsSettings(**settings), lambda: at, silent)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_backup_says_what_it_contains(sources: Sources) -> None:
    """Its manifest has the positions, revisions, rows, sizes and hashes; its files are private."""
    backup = create(sources)
    assert [backup] == list_backups(sources.home)
    assert backup == newest_verified(sources.home)
    assert names(sources.folder) == {".lock", f"{backup.id}.json", "botwatch-20260131T120000Z.tar.zst"}
    modes = {stat.S_IMODE((sources.folder / name).stat().st_mode) for name in names(sources.folder)}
    assert modes == {0o600}
    manifest = backup.manifest
    assert manifest
    assert manifest.databases["performance"].rows["equity"] == 10
    assert manifest.databases["health"].revision
    assert manifest.databases["performance"].positions["recorder"] == POSITIONS["performance"]
    assert manifest.position == POSITIONS["health"]  # the lower one of those who read again from there
    assert RULE_STATE_READER in READERS
    assert manifest.secrets == "left out"
    assert [file.path for file in manifest.files] == [
        "config/notifications.yml",
        "databases/performance_metrics.db",
        "databases/system_health.db",
    ]


def test_rows_in_the_write_ahead_log_are_in_the_backup(sources: Sources) -> None:
    """A plain copy of the file would lack them."""
    insert_equity(sources.databases["performance"], 5)
    manifest = create(sources).manifest
    assert manifest
    assert manifest.databases["performance"].rows["equity"] == 15


def test_secrets_are_encrypted_with_the_key(sources: Sources, tmp_path: Path) -> None:
    """Credentials, keys, and all files of the config folder; in clear nowhere."""
    backup = create(sources, botwatch_key=KEY)
    out = tmp_path / "out"
    out.mkdir()
    extract_archive(sources.folder / backup.file, out, [], silent)
    secrets = read_secrets(out, KEY)
    assert secrets
    config = {"config/notifications.yml", "config/smtp-password"}
    assert set(secrets) == {"secrets/bot/redis-url", "data/link.key"} | config
    assert not [path for path in out.rglob("*") if path.is_file() and b"geheim" in path.read_bytes()]
    other = "b3RoZXIta2V5LW9mLTMyLWJ5dGVzLWZvci1mZXJuZXQ="
    assert read_secrets(out, f"{other},{KEY}") == secrets  # a newer key first, the old one still there
    with pytest.raises(BackupError, match="BOTWATCH_KEY is not the one"):
        read_secrets(out, other)


def test_a_backup_is_encrypted_to_a_public_key(sources: Sources, tmp_path: Path) -> None:
    """Only the private key, which is elsewhere, opens it; here its SHA-256 is compared."""
    identity, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    backup = create(sources, backup_public_key=str(identity.to_public()))
    archive = sources.folder / backup.file
    assert backup.file.endswith(".tar.zst.age")
    assert archive.read_bytes().startswith(b"age-encryption.org/")
    assert verify_backup(sources, backup, [], lambda: NOON, silent).verified_by == "checksum"
    key = tmp_path / "identity.txt"
    key.write_text(f"# created today\n{identity}\n")
    verified = verify_backup(sources, backup, read_identities(key), lambda: NOON, silent)
    assert verified.verified_by == "trial restore"
    key.write_text(f"{other}\n")
    with pytest.raises(BackupError, match="encrypted to another key"):
        verify_backup(sources, backup, read_identities(key), lambda: NOON, silent)
    assert newest_verified(sources.home)  # a wrong key says nothing about the backup


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_changed_byte_is_found(sources: Sources, place: float) -> None:
    """Wherever it is; the backup counts as damaged, and no longer as the newest one."""
    backup = create(sources)
    archive = sources.folder / backup.file
    data = bytearray(archive.read_bytes())
    data[int(len(data) * place)] ^= 1
    archive.write_bytes(data)
    for known in (backup, msgspec.structs.replace(backup, sha256="")):
        with pytest.raises(DamagedBackupError, match="is damaged"):
            verify_backup(sources, known, [], lambda: NOON, silent)
    assert newest_verified(sources.home) is None
    assert "is damaged" in str(list_backups(sources.home)[0].error)


def test_an_archive_that_was_copied_here_is_listed_and_can_be_verified(sources: Sources) -> None:
    """Without its JSON file nothing is known of it but its size."""
    backup = create(sources)
    (sources.folder / f"{backup.id}.json").unlink()
    [found] = list_backups(sources.home)
    assert (found.verified_at, found.bytes, found.manifest) == (None, backup.bytes, None)
    assert verify_backup(sources, found, [], lambda: NOON, silent).manifest == backup.manifest


def test_two_backups_in_one_second_have_two_ids(sources: Sources) -> None:
    """The second one takes the next second."""
    assert create(sources).id == "botwatch-20260131T120000Z"
    assert create(sources).id == "botwatch-20260131T120001Z"


def test_backups_that_need_not_be_kept_are_deleted(sources: Sources) -> None:
    """With what is known of them; leftovers of a killed process go too."""
    backup = create(sources)
    for days in range(1, 10):
        old = f"botwatch-{NOON - timedelta(days=days / 24):%Y%m%dT%H%M%SZ}"
        (sources.folder / f"{old}.tar.zst").write_bytes(b"")
        write_backup(sources.home, msgspec.structs.replace(backup, id=old, file=f"{old}.tar.zst"))
    (sources.folder / "botwatch-20260101T000000Z.json").write_text("{}")
    (sources.folder / "system_health.db").write_bytes(b"copied there by hand")
    create(sources, NOON + timedelta(days=1))
    assert len(delete_expired(sources)) == 9
    assert sorted(one.id for one in list_backups(sources.home)) == [
        "botwatch-20260131T120000Z",
        "botwatch-20260201T120000Z",
    ]
    assert "botwatch-20260101T000000Z.json" not in names(sources.folder)
    assert "system_health.db" in names(sources.folder)


def test_only_one_process_works_at_a_time(sources: Sources) -> None:
    """A second one is refused, and told which process is at work."""
    with locked_folder(sources), pytest.raises(BackupError, match=r"is at work \(process \d+\)"):
        create(sources)


def test_too_little_space_is_said_before_anything_is_written(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what there is and what it takes."""
    monkeypatch.setattr(workspace, "MARGIN_BYTES", 2**60)
    with pytest.raises(BackupError, match="not enough space for a backup"):
        create(sources)
    assert list_backups(sources.home) == []


def test_a_public_key_that_is_none_is_refused(sources: Sources) -> None:
    """The sentence says what is expected, and nothing is listed."""
    with pytest.raises(BackupError, match="BACKUP_PUBLIC_KEY: expected a public key of age"):
        create(sources, backup_public_key="age1nonsense")
    assert list_backups(sources.home) == []
