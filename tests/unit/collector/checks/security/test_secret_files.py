"""Secrets that others may read: real files."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.collector.checks.base import CheckResult
from services.collector.checks.security import file_patterns
from services.collector.checks.security.secret_files import create_probe
from services.collector.host.watched_host import WatchedHost

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def secret(root: Path, name: str, mode: int) -> Path:
    path = root / name.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("KEY=hunter2")
    path.chmod(mode)
    return path


def look(root: Path, *patterns: str) -> CheckResult:
    return create_probe(patterns, 10, WatchedHost("box", root, root)).run(NOW)


@pytest.mark.parametrize(
    ("mode", "status", "says"),
    [
        (0o600, "ok", None),
        (0o400, "ok", None),
        (0o700, "ok", None),
        (0o640, "warning", "/bot/.env (0640) is readable by its group"),
        (0o660, "warning", "/bot/.env (0660) is writable by its group"),
        (0o604, "critical", "/bot/.env (0604) is readable by everyone"),
        (0o644, "critical", "/bot/.env (0644) is readable by everyone"),
        (0o666, "critical", "/bot/.env (0666) is writable by everyone"),
        (0o602, "critical", "/bot/.env (0602) is writable by everyone"),
    ],
)
def test_only_the_owner_may(tmp_path: Path, mode: int, status: str, says: str | None) -> None:
    secret(tmp_path, "/bot/.env", mode)
    seen = look(tmp_path, "/bot/.env")
    assert seen.status == status
    expected = f"{says}; run `chmod go= FILE`"
    assert seen.text == (expected if says else "1 secret file readable by the owner only")
    assert seen.figures == {"occurrences": int(bool(says))}


def test_it_is_well_as_soon_as_the_mode_is(tmp_path: Path) -> None:
    path = secret(tmp_path, "/bot/.env", 0o644)
    watching = create_probe(["/bot/.env"], 10, WatchedHost("box", tmp_path, tmp_path))
    assert watching.run(NOW).status == "critical"
    path.chmod(0o600)
    assert watching.run(NOW).status == "ok"


def test_the_worst_are_listed_first_and_the_rest_is_counted(tmp_path: Path) -> None:
    for number in range(9):
        secret(tmp_path, f"/keys/{number}.pem", 0o644 if number == 8 else 0o640)
    seen = look(tmp_path, "/keys/*")
    assert seen.text.startswith("/keys/8.pem (0644) is readable by everyone; /keys/0.pem (0640) is")
    assert "; and 4 more; run" in seen.text
    assert seen.figures == {"occurrences": 9}


def test_patterns_find_hidden_files_and_those_in_folders_below(tmp_path: Path) -> None:
    secret(tmp_path, "/bot/.env", 0o644)
    secret(tmp_path, "/bot/a/b/.env", 0o644)
    assert look(tmp_path, "/bot/*").figures["occurrences"] == 2  # .env, and a folder that all may enter
    assert "/bot/a/b/.env (0644)" in look(tmp_path, "/bot/**/.env").text


def test_a_file_that_two_patterns_fit_counts_once(tmp_path: Path) -> None:
    secret(tmp_path, "/bot/.env", 0o644)
    assert look(tmp_path, "/bot/.env", "/bot/.e*").figures["occurrences"] == 1


def test_a_link_is_judged_by_what_it_leads_to_on_the_watched_host(tmp_path: Path) -> None:
    secret(tmp_path, "/run/secrets/key", 0o644)
    (tmp_path / "key").symlink_to("/run/secrets/key")
    assert look(tmp_path, "/key").text.startswith("/key (0644) is readable by everyone")


def test_links_in_a_circle_or_to_nowhere_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("/b")
    (tmp_path / "b").symlink_to("/a")
    (tmp_path / "c").symlink_to("/nowhere")
    secret(tmp_path, "/d", 0o600)
    assert look(tmp_path, "/c", "/d").status == "ok"
    assert look(tmp_path, "/a", "/d").status == "unknown"


def test_a_pattern_that_nothing_fits_is_said(tmp_path: Path) -> None:
    secret(tmp_path, "/bot/.env", 0o600)
    seen = look(tmp_path, "/bot/.env", "/bot/env", "/nowhere/*")
    assert seen[:2] == (
        "ok",
        "1 secret file readable by the owner only; no file matches /bot/env, /nowhere/*",
    )


def test_an_unreadable_folder_is_unknown_unless_a_secret_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret(tmp_path, "/closed/key", 0o600)
    secret(tmp_path, "/open/key", 0o644)
    # These tests may run as root, who may read all.
    monkeypatch.setattr(os, "access", lambda path, _mode: "closed" not in str(path))
    seen = look(tmp_path, "/closed/*")
    assert seen[:2] == ("unknown", "Permission denied on some of /closed/*")
    assert look(tmp_path, "/closed/*", "/open/*").status == "critical"


def test_more_files_than_are_looked_at_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_patterns, "MAX_FILES", 3)
    for number in range(5):
        secret(tmp_path, f"/keys/{number}", 0o600)
    assert look(tmp_path, "/keys/*").status == "unknown"


@pytest.mark.parametrize("pattern", ["/a**", "/[", "/**", "/x/../*", "/*/*/*", "/?", "/[!a]"])
def test_any_pattern_is_taken(tmp_path: Path, pattern: str) -> None:
    secret(tmp_path, "/k", 0o600)
    assert look(tmp_path, pattern).status in ("ok", "critical")
