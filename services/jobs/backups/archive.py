"""Archives: a tar file with the manifest first, compressed by zstd, optionally encrypted by age.

Reading one trusts nothing in it: names, sizes and SHA-256 must be those of the manifest, and no name may lead
out of the folder.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

import msgspec
import pyrage
from backports import zstd

from services.jobs.backups.errors import BackupError, DamagedBackupError
from services.jobs.backups.snapshot import Progress
from services.jobs.backups.workspace import ensure_space
from shared.schema.backups import ENCRYPTED_SUFFIX, FORMAT, ArchivedFile, Manifest
from shared.version import VERSION

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 2**20
COMPRESSION: dict[int, int] = {
    zstd.CompressionParameter.compression_level: 3,
    zstd.CompressionParameter.checksum_flag: 1,
}
CHUNK = 2**20


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_file(folder: Path, path: str) -> ArchivedFile:
    """Return size and hash of a file in `folder`."""
    file = folder / path
    return ArchivedFile(path=path, bytes=file.stat().st_size, sha256=hash_file(file))


def write_archive(archive: Path, manifest: Manifest, folder: Path, progress: Progress) -> None:
    """Write the manifest and its files, which are in `folder`."""
    with zstd.open(archive, "wb", options=COMPRESSION) as out, tarfile.open(fileobj=out, mode="w|") as tar:
        data = msgspec.json.format(msgspec.json.encode(manifest))
        _add(tar, MANIFEST, len(data), io.BytesIO(data))
        for file in manifest.files:
            progress(f"compressing {file.path}")
            with (folder / file.path).open("rb") as content:
                _add(tar, file.path, file.bytes, content)


def _add(tar: tarfile.TarFile, name: str, size: int, content: IO[bytes]) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    tar.addfile(member, content)


def encrypt_file(source: Path, target: Path, public_key: str) -> None:
    """Encrypt a file to a public key. Raises BackupError if that is none."""
    recipient = parse_public_key(public_key)
    with source.open("rb") as clear, target.open("wb") as out:
        pyrage.encrypt_io(clear, out, [recipient])


def parse_public_key(text: str) -> Any:  # noqa: ANN401 - of pyrage, which has no types
    """Return the recipient that a public key of age or SSH means."""
    kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
    try:
        return kind.Recipient.from_str(text.strip())
    except pyrage.RecipientError as error:
        raise BackupError(
            "BACKUP_PUBLIC_KEY: expected a public key of age (age1…) or SSH (ssh-ed25519 …), "
            "such as `age-keygen` prints"
        ) from error


def read_identities(path: Path) -> list[Any]:
    """Return the private keys in an identity file of age or SSH."""
    try:
        data = path.read_bytes()
        if b"PRIVATE KEY" in data:
            return [pyrage.ssh.Identity.from_buffer(data)]
        lines = [line.strip() for line in data.decode().splitlines()]
        return [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except OSError as error:
        raise BackupError(f"identity file {path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, pyrage.IdentityError) as error:
        raise BackupError(f"identity file {path} has no private key of age (AGE-SECRET-KEY-1…)") from error


def extract_archive(archive: Path, folder: Path, identities: Sequence[Any], progress: Progress) -> Manifest:
    """Extract an archive into `folder` and return its manifest, once everything is as the manifest says.

    Raises DamagedBackupError, and BackupError if the archive is encrypted to another key or too new.
    """
    try:
        with (
            _clear_archive(archive, folder, identities) as clear,
            zstd.open(clear, "rb") as stream,
            tarfile.open(fileobj=stream, mode="r|") as tar,
        ):
            members = iter(tar)
            manifest = _read_manifest(archive, tar, next(members, None))
            ensure_space(folder, sum(file.bytes for file in manifest.files), f"the content of {archive.name}")
            _extract_files(archive, tar, members, manifest, (folder, progress))
            return manifest
    except (zstd.ZstdError, tarfile.TarError, EOFError, msgspec.DecodeError) as error:
        raise DamagedBackupError(f"{archive.name} is damaged: {error}") from error


@contextmanager
def _clear_archive(archive: Path, folder: Path, identities: Sequence[Any]) -> Iterator[Path]:
    if not archive.name.endswith(ENCRYPTED_SUFFIX):
        yield archive
        return
    if not identities:
        raise BackupError(f"{archive.name} is encrypted: name the file of its private key with --identity")
    clear = folder / "clear.tar.zst"
    try:
        with archive.open("rb") as source, clear.open("wb") as target:
            pyrage.decrypt_io(source, target, identities)
        yield clear
    except pyrage.DecryptError as error:
        raise BackupError(
            f"{archive.name} cannot be decrypted: it was encrypted to another key, or is damaged ({error})"
        ) from error
    finally:
        clear.unlink(missing_ok=True)


def _read_manifest(archive: Path, tar: tarfile.TarFile, member: tarfile.TarInfo | None) -> Manifest:
    content = tar.extractfile(member) if member and member.name == MANIFEST else None
    if not member or not content or member.size > MAX_MANIFEST_BYTES:
        raise DamagedBackupError(f"{archive.name} is no backup of Botwatch: it has no manifest")
    data = content.read()
    found = msgspec.json.decode(data, type=dict[str, Any]).get("format")
    if isinstance(found, int) and found > FORMAT:
        raise BackupError(
            f"{archive.name} has format {found}; this Botwatch ({VERSION}) reads up to {FORMAT}: "
            "restore it with the release that made it, or a newer one"
        )
    return msgspec.json.decode(data, type=Manifest)


def _extract_files(
    archive: Path,
    tar: tarfile.TarFile,
    members: Iterable[tarfile.TarInfo],
    manifest: Manifest,
    target: tuple[Path, Progress],
) -> None:
    folder, progress = target
    expected = {file.path: file for file in manifest.files}
    for member in members:
        file = expected.pop(member.name, None)
        content = tar.extractfile(member) if file and member.isreg() and is_inside(member.name) else None
        if file is None or content is None or member.size != file.bytes:
            raise DamagedBackupError(f"{archive.name} is damaged: its manifest has no such {member.name!r}")
        progress(f"extracting {file.path}")
        if _write_hashed(content, folder / file.path) != file.sha256:
            raise DamagedBackupError(f"{archive.name} is damaged: the SHA-256 of {file.path} is another one")
    if expected:
        raise DamagedBackupError(f"{archive.name} is damaged: {', '.join(sorted(expected))} is missing")


def is_inside(name: str) -> bool:
    """Return whether a name in an archive stays below the folder."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and bool(path.parts)


def _write_hashed(content: IO[bytes], path: Path) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        path.chmod(0o600)
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()
