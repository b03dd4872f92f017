"""Credentials: generated once, stored in files below one folder, so that nothing has to be set up.

`<user>/redis-url` has a Redis user's URL with its password, `redis/users.acl` the ACL file of Redis, and
`grafana/admin-password` the password of Grafana's `admin`. `prometheus/api-token`, `grafana/api-token` and
`botwatch/api-token` are Botwatch's own API tokens; `<part>/internal-tokens` has their digests. `audit.key`
chains the audit log.

`botwatch up` creates them natively; in compose `python -m shared.runtime.credentials` does so before Redis
starts, and each container sees only its own folder.
"""

import os
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from shared.access.bearer_tokens import new_api_token
from shared.access.internal_tokens import INTERNAL_TOKENS, format_internal_tokens
from shared.runtime.audit_key import HEAD, KEY_NAME, create_audit_key, rotate_audit_key
from shared.runtime.file_modes import SHARED_UMASK, UMASK, restrict_modes, write_private
from shared.runtime.redis.acl import USERS, acl_file
from shared.runtime.redis.presence import EXPECTED_PARTS
from shared.runtime.settings import PartSettings
from shared.schema.faults import Fault, InvalidError
from shared.store.audit import AuditKeyFile

FOLDER = "secrets"
"""Below BOTWATCH_HOME, natively."""
URL = "redis-url"
AUTHORITY = "ssl_ca_certs"
"""redis-py's name for the file of the authority that Redis's certificate must be from."""
ACL = Path("redis", "users.acl")
GRAFANA = Path("grafana", "admin-password")
TOKEN_FILE = "api-token"  # noqa: S105 - a file name
DIGESTS_FILE = "internal-tokens"

AUDITING_PARTS = ("botwatch", "dashboard", "jobs", "recorder")
"""Whose folders have the audit log's key in compose: `recorder` for `migrate`."""
HOME = Path("/var/lib/botwatch")
"""BOTWATCH_HOME in compose."""

PRIVATE_MODES = (0o700, 0o600)
"""Modes of folders and files if all parts run as one user."""
GROUP_MODES = (0o750, 0o640)
"""Modes if parts run as several users in a group that may read."""


def create_missing(
    folder: Path, address: str, modes: tuple[int, int] = PRIVATE_MODES, grafana: str = "", authority: str = ""
) -> None:
    """Create missing credentials below `folder`; existing passwords stay. `address` is host:port of Redis.

    `grafana` is a chosen password for Grafana, empty to generate one. With `authority`, the file of a
    certificate where the URLs are used, Redis is reached over TLS.
    """
    scheme, verifying = ("rediss", f"?{AUTHORITY}={authority}") if authority else ("redis", "")
    of_folder, of_file = modes
    passwords = {user: _existing_password(folder / user / URL) or secrets.token_urlsafe(24) for user in USERS}
    for part in (Path(), *map(Path, USERS), ACL.parent, GRAFANA.parent):
        (folder / part).mkdir(mode=of_folder, parents=True, exist_ok=True)
        (folder / part).chmod(of_folder)
    for user, password in passwords.items():
        write_private(folder / user / URL, f"{scheme}://{user}:{password}@{address}/0{verifying}\n", of_file)
    write_private(folder / ACL, acl_file(passwords), of_file)
    if grafana or not (folder / GRAFANA).exists():
        write_private(folder / GRAFANA, grafana or secrets.token_urlsafe(24), of_file)


def create_tokens(folder: Path, modes: tuple[int, int] = PRIVATE_MODES) -> None:
    """Create Botwatch's own API tokens below `folder`; existing ones stay. Each part gets their digests."""
    of_folder, of_file = modes
    tokens = {}
    for part in ("", *INTERNAL_TOKENS, *EXPECTED_PARTS):
        (folder / part).mkdir(mode=of_folder, parents=True, exist_ok=True)
        (folder / part).chmod(of_folder)
    for name in INTERNAL_TOKENS:
        path = folder / name / TOKEN_FILE
        tokens[name] = path.read_text(encoding="utf-8").strip() if path.exists() else new_api_token()
        write_private(path, f"{tokens[name]}\n", of_file)
    for part in EXPECTED_PARTS:
        write_private(folder / part / DIGESTS_FILE, format_internal_tokens(tokens), of_file)


def create_audit_keys(folder: Path, home: Path, modes: tuple[int, int] = GROUP_MODES) -> None:
    """Create the audit log's key below `folder`, if there is none, and give it to the parts that append."""
    create_audit_key(AuditKeyFile(folder / KEY_NAME, home / HEAD), modes[1])
    share_audit_key(folder, modes)


def share_audit_key(folder: Path, modes: tuple[int, int] = GROUP_MODES) -> None:
    """Give the audit log's key to the parts that append."""
    key = (folder / KEY_NAME).read_text(encoding="ascii")
    for part in AUDITING_PARTS:
        write_private(folder / part / KEY_NAME, key, modes[1])


def redis_url(folder: Path, user: str) -> str:
    """Return the Redis URL of a user."""
    return (folder / user / URL).read_text(encoding="utf-8").strip()


def operator_redis_url(settings: PartSettings, environ: Mapping[str, str]) -> str:
    """Return the configured Redis URL, else that of the local `botwatch up`."""
    if environ.get("REDIS_URL") or environ.get("REDIS_URL_FILE"):
        return settings.redis_url
    try:
        return redis_url(settings.botwatch_home / FOLDER, "botwatch")
    except OSError:
        return f"redis://127.0.0.1:{environ.get('REDIS_PORT') or 6379}/0"


def _existing_password(path: Path) -> str | None:
    """Return the password in an existing URL file, None if there is none."""
    try:
        return urlsplit(path.read_text(encoding="utf-8").strip()).password
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InvalidError([Fault(str(path), f"unreadable ({error}): remove it")]) from error


def main(arguments: list[str]) -> int:
    """Prepare the volumes of the compose stack, or print a Redis user's URL or Grafana's password."""
    folder = Path("/secrets")
    match arguments:
        case []:
            grafana, authority = (os.environ.get(name, "") for name in ("GRAFANA_PASSWORD", "REDIS_CA"))
            create_missing(folder, "redis:6379", GROUP_MODES, grafana, authority)
            create_tokens(folder, GROUP_MODES)
            create_audit_keys(folder, HOME)
            restrict_modes(HOME, UMASK)
            restrict_modes(Path("/var/lib/collector"), SHARED_UMASK)  # the collector is another user
        case ["rotate-audit-key"]:
            rotate_audit_key(folder / KEY_NAME)
            create_audit_keys(folder, HOME)
        case ["grafana"]:
            sys.stdout.write((folder / GRAFANA).read_text(encoding="utf-8") + "\n")
        case [user] if user in USERS:
            port = os.environ.get("REDIS_PORT") or "6379"
            url = redis_url(folder, user).replace("@redis:6379/", f"@localhost:{port}/")
            sys.stdout.write(re.sub(f"{AUTHORITY}=.*", f"{AUTHORITY}=deploy/tls/redis-ca.crt", url) + "\n")
        case _:
            expected = ", ".join(["grafana", "rotate-audit-key", *USERS])
            sys.stderr.write(f"secrets: expected one of {expected}, got {' '.join(arguments)}\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
