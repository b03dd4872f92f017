"""Users on a real SQLite with a chained audit log."""

from pathlib import Path

import pytest

from shared.access.login import Logins
from shared.access.sealing import Sealer
from shared.access.users import Users
from shared.runtime.audit_key import audit_key
from shared.store.audit import AuditKeyFile
from shared.store.database import Database


@pytest.fixture
def key(tmp_path: Path) -> AuditKeyFile:
    """Return the key of the audit log."""
    return audit_key(tmp_path, {})


@pytest.fixture
def users(health: Database, key: AuditKeyFile) -> Users:
    """Return the users of an empty database."""
    return Users(health, key, Sealer(b"a secret of the tests"))


@pytest.fixture
def logins(health: Database, users: Users, key: AuditKeyFile, cheap_hashes: None) -> Logins:  # noqa: ARG001 - many are guessed
    """Return the logins of these users."""
    return Logins(health, users, key)
