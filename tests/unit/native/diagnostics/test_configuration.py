"""Diagnostics of the configuration: documents and secrets."""

from pathlib import Path

import pytest

from services.native.diagnostics.configuration import check_documents, check_secrets
from services.native.diagnostics.site import Site


def test_every_fault_of_the_documents(tmp_path: Path) -> None:
    """Each with the command that checks again."""
    (tmp_path / "performance_logger.json").write_text('{"alertng": {}}')
    (tmp_path / "health_monitor.json").write_text("{")
    found = list(check_documents(Site({"BOTWATCH_CONFIG": str(tmp_path)})))
    assert [one.status for one in found] == ["critical", "critical"]
    assert found[0].fix.endswith(f"`botwatch rules check {tmp_path}`")


@pytest.mark.parametrize(
    ("environ", "what"),
    [
        ({"INGEST_TOKEN": "a-short-token-1"}, "INGEST_TOKEN has 15 characters"),
        ({"BOTWATCH_SECRET_FILE": "/nonexistent"}, "BOTWATCH_SECRET_FILE cannot be read"),
        ({"REDIS_URL": "redis://127.0.0.1:6379/0"}, "REDIS_URL has no password"),
        ({"ACCESS": "open"}, "ACCESS is 'open'"),
    ],
)
def test_production_refuses_missing_and_weak_secrets(environ: dict[str, str], what: str) -> None:
    """The secret itself is not shown."""
    [found] = [one for one in check_secrets(Site(environ, production=True)) if one.status != "ok"]
    assert found.status == "critical"
    assert found.what.startswith(what)
    assert "a-short-token-1" not in str(found)
