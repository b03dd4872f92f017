"""Backups in containers, by the commands of the documentation: the secrets are in them, and come back."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from tests.stack.compose import ComposeStack, run

FOLDER = "/var/lib/botwatch/backups/monitoring"


class Elsewhere:
    """Another machine: a project of its own, with nothing but empty volumes."""

    def __init__(self, stack: ComposeStack) -> None:
        self._environment = stack.environment
        self._project = f"{stack.project}-elsewhere"

    def compose(self, *arguments: str) -> str:
        """Run `docker compose` there."""
        return run(["docker", "compose", "-p", self._project, *arguments], self._environment)


@pytest.fixture
def elsewhere(stack: ComposeStack) -> Iterator[Elsewhere]:
    """Yield it, and remove its volumes."""
    other = Elsewhere(stack)
    yield other
    other.compose("--profile", "tools", "down", "--volumes")


def test_passwords_and_keys_are_restored_elsewhere(
    stack: ComposeStack, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    """Encrypted to a public key; the audit log goes on with its key, and bots with their password."""
    identity = pyrage.x25519.Identity.generate()
    key = tmp_path / "key.txt"
    key.write_text(f"{identity}\n")
    stack.compose("build", "--quiet", "botwatch")
    command = ("run", "--rm", "-T", "-e", f"BACKUP_PUBLIC_KEY={identity.to_public()}", "botwatch")
    made = json.loads(stack.compose(*command, "backup", "now", "--json"))
    assert (made["secrets"], made["encrypted"]) == ("encrypted", True)
    stack.compose("cp", f"jobs:{FOLDER}/{made['file']}", str(tmp_path))
    archive = tmp_path / made["file"]
    for path in (tmp_path, archive, key):
        path.chmod(0o755)
    mounts = ("-v", f"{archive}:/{archive.name}:ro", "-v", f"{key}:/key.txt:ro")
    restored = elsewhere.compose(
        "run", "--rm", "-T", *mounts, "botwatch",
        "restore", f"/{archive.name}", "--identity", "/key.txt", "--passwords",
    )  # fmt: skip
    assert f"Restored {made['id']}" in restored
    for name in ("bot", "grafana"):
        assert elsewhere.compose("run", "--rm", "-T", "secrets", name).strip() == stack.secret(name)
    verified = elsewhere.compose("run", "--rm", "-T", "botwatch", "audit", "verify")
    assert "complete and unchanged" in verified


def test_jobs_may_read_the_secrets_and_not_write_them(stack: ComposeStack) -> None:
    """The job `backup` has them from a volume that is mounted read-only."""
    attempt = (
        "import pathlib\n"
        "path = pathlib.Path('/secrets/bot/redis-url')\n"
        "print(path.read_text().startswith('redis://bot:'))\n"
        "try: path.write_text('')\n"
        "except OSError as error: print(error.strerror)"
    )
    assert stack.execute("jobs", "python", "-c", attempt).split("\n")[:2] == ["True", "Read-only file system"]
