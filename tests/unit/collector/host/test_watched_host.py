"""Paths of a host whose root is mounted somewhere else."""

from pathlib import Path

import pytest

from services.collector.host.watched_host import resolve_within


def test_an_absolute_link_stays_within_the_hosts_root(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "run").symlink_to("/run")
    assert resolve_within(tmp_path, "/var/run/bot.pid") == tmp_path / "run" / "bot.pid"


def test_a_relative_link_and_dots_are_followed(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    (tmp_path / "archive").mkdir()
    (tmp_path / "live" / "cert.pem").symlink_to("../archive/cert7.pem")
    assert resolve_within(tmp_path, "/live/./cert.pem") == tmp_path / "archive" / "cert7.pem"


def test_no_path_leads_out_of_the_root(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("../../../etc")
    assert resolve_within(tmp_path, "/../../out/passwd") == tmp_path / "etc" / "passwd"


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("/b")
    (tmp_path / "b").symlink_to("/a")
    with pytest.raises(OSError, match="too many levels of symbolic links"):
        resolve_within(tmp_path, "/a/x")
