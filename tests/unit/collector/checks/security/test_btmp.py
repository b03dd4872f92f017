"""Records of btmp, as glibc lays them out."""

import socket
import struct
import subprocess
from pathlib import Path

import pytest

from services.collector.checks.security.auth_log import LAYOUTS, RECORD, FailedLogin, parse_btmp
from tests.support import require_program


def record(
    user: str, host: str = "", packed: bytes = b"", layout: struct.Struct = RECORD, line: str = "ssh:notty"
) -> bytes:
    """Return what sshd writes about one failed login."""
    user_field = user.encode()[:32]
    return layout.pack(
        6, 812, line.encode(), b"", user_field, host.encode()[:256], 0, 0, 0, 1_795_000_000, 0, packed
    )


def test_the_layouts_are_as_long_as_those_of_glibc() -> None:
    assert {machine: layout.size for machine, layout in LAYOUTS.items()} == {"x86_64": 384, "aarch64": 400}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_user_and_address_are_read(layout: struct.Struct) -> None:
    four, six = socket.inet_aton("203.0.113.7"), socket.inet_pton(socket.AF_INET6, "2001:db8::7")
    data = record("root", "203.0.113.7", four, layout) + record("bob", "evil.example", six, layout)
    assert list(parse_btmp(data, layout)) == [
        FailedLogin("root", "203.0.113.7"),
        FailedLogin("bob", "2001:db8::7"),
    ]


def test_a_host_that_is_a_name_is_no_address_and_one_that_is_an_address_is() -> None:
    data = record("root", "evil.example") + record("x" * 40, "203.0.113.7") + record("root", line="tty1")
    assert list(parse_btmp(data)) == [
        FailedLogin("root", ""),
        FailedLogin("x" * 32, "203.0.113.7"),
        FailedLogin("root", ""),
    ]


def test_lastb_reads_the_same(tmp_path: Path) -> None:
    lastb = require_program("lastb")
    path = tmp_path / "btmp"
    path.write_bytes(record("root", "203.0.113.7", socket.inet_aton("203.0.113.7")))
    shown = subprocess.run([lastb, "-f", path, "-i"], capture_output=True, check=True, timeout=30, text=True)
    assert shown.stdout.split()[:3] == ["root", "ssh:notty", "203.0.113.7"]
