"""The secrets in a backup: credentials, keys, and the config folder, whose documents may have secrets too.

With a public key they are in the archive, which is encrypted as a whole; with BOTWATCH_KEY they are encrypted
by Fernet. Without either they are left out, but for the config documents, which are in clear.
"""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from cryptography.fernet import InvalidToken, MultiFernet

from services.jobs.backups.archive import is_inside
from services.jobs.backups.errors import BackupError
from services.jobs.backups.workspace import STAGED, Sources
from shared.runtime.encrypted_values import fernet_keys

IN_CLEAR = "secrets.tar"
"""Only in an archive that is encrypted as a whole."""
ENCRYPTED = "secrets.fernet"
_DOCUMENTS = (".json", ".yml", ".yaml")
MAX_FILE_BYTES = 2**20
"""A larger file is no secret, and no document."""


def config_documents(config: Path) -> dict[str, Path]:
    """Return the config documents and templates: path in the archive → file."""
    return {
        f"config/{path.relative_to(config)}": path for path in _files(config) if _is_document(path, config)
    }


def secret_files(sources: Sources) -> dict[str, Path]:
    """Return the files with secrets: path in the archive → file."""
    home, config = sources.home, sources.config
    found = {f"secrets/{path.relative_to(sources.secrets)}": path for path in _files(sources.secrets)}
    found |= {str(path.relative_to(home)): path for path in sorted((home / "data").glob("*.key"))}
    others = (path for path in _files(config) if not _is_document(path, config))
    return found | {f"config/{path.relative_to(config)}": path for path in others}


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or path.name.endswith(STAGED):
            continue
        if path.is_file() and path.stat().st_size <= MAX_FILE_BYTES:
            yield path


def _is_document(path: Path, config: Path) -> bool:
    return path.suffix in _DOCUMENTS or path.relative_to(config).parts[0] == "templates"


def pack(files: dict[str, Path]) -> bytes:
    """Return a tar file of `files`."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, path in files.items():
            member = tarfile.TarInfo(name)
            data = path.read_bytes()
            member.size, member.mode = len(data), 0o600
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """Return the files of what `pack` returned."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r") as tar:
        members = [(member.name, tar.extractfile(member)) for member in tar if member.isreg()]
        return {name: content.read() for name, content in members if content and is_inside(name)}


def write_secrets(sources: Sources, folder: Path, public_key: str, botwatch_key: str) -> bool:
    """Write the secrets to `folder` as they may stand in an archive; return whether they are in it."""
    if not public_key and not botwatch_key:
        return False
    files = secret_files(sources)
    if public_key:
        (folder / IN_CLEAR).write_bytes(pack(files))
    else:
        packed = pack(files | config_documents(sources.config))
        (folder / ENCRYPTED).write_bytes(_cipher(botwatch_key).encrypt(packed))
    return True


def read_secrets(folder: Path, botwatch_key: str) -> dict[str, bytes] | None:
    """Return the secrets of an extracted archive; None if it has none, or none that can be decrypted here."""
    if (folder / IN_CLEAR).exists():
        return unpack((folder / IN_CLEAR).read_bytes())
    if not (folder / ENCRYPTED).exists() or not botwatch_key:
        return None
    try:
        return unpack(_cipher(botwatch_key).decrypt((folder / ENCRYPTED).read_bytes()))
    except InvalidToken as error:
        raise BackupError(
            "BOTWATCH_KEY is not the one that the backup's secrets were encrypted with: set that one, "
            "or unset it to restore without secrets"
        ) from error


def _cipher(key: str) -> MultiFernet:
    try:
        return fernet_keys(key)
    except ValueError as error:
        raise BackupError("BOTWATCH_KEY: expected keys that `botwatch encrypt --new-key` printed") from error
