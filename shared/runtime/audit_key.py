"""The key that chains the audit log, and the head: made at the first start, outside the database.

The key is `secrets/audit.key` in the home, or the file that AUDIT_KEY_FILE names (in compose in the folder of
the part); the head, which is no secret, is `data/audit.head`.
"""

import fcntl
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from shared.runtime.file_modes import write_private
from shared.schema.faults import Fault, InvalidError
from shared.store.audit import AuditKeyFile
from shared.store.audit_chain import make_head

KEY_BYTES = 32
KEY_NAME = "audit.key"
HEAD = Path("data", "audit.head")


def audit_key(home: Path, environ: Mapping[str, str] = os.environ) -> AuditKeyFile:
    """Return where the key and the head are; make them if there is no key. InvalidError: neither works."""
    file = audit_key_file(home, environ)
    if not environ.get("AUDIT_KEY_FILE"):
        try:
            create_audit_key(file)
        except OSError as error:
            raise InvalidError([Fault(str(file.key), f"audit key cannot be made: {error}")]) from error
    return file


def audit_key_file(home: Path, environ: Mapping[str, str] = os.environ) -> AuditKeyFile:
    """Return where the key and the head are, whether they exist or not."""
    named = environ.get("AUDIT_KEY_FILE")
    return AuditKeyFile(Path(named) if named else home / "secrets" / KEY_NAME, home / HEAD)


def create_audit_key(file: AuditKeyFile, mode: int = 0o600) -> None:
    """Make the head, then the key, unless there is a key already. Raises OSError."""
    if file.key.exists():
        return
    file.key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.head.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    folder = os.open(file.key.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # several parts may start at once
        if not file.key.exists():
            key = secrets.token_bytes(KEY_BYTES)
            # The key last: a start that is killed in between begins again.
            file.write_head(make_head(key, 0, ""))
            write_private(file.key, f"{key.hex()}\n", mode)
    finally:
        os.close(folder)


def rotate_audit_key(path: Path) -> None:
    """Append a new key to the key file; the next entry chains it to the old one. Raises OSError."""
    lines = path.read_text(encoding="ascii")
    write_private(path, f"{lines}{secrets.token_hex(KEY_BYTES)}\n", path.stat().st_mode & 0o777)
