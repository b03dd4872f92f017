"""Failed logins in btmp, where login and sshd write them as binary records. Pure. Source: utmp(5)."""

import ipaddress
import platform
import struct
from collections.abc import Iterator

from services.collector.checks.security.auth_log import FailedLogin, normalize_address

LAYOUTS = {
    "x86_64": struct.Struct("<hxxi32s4s32s256shhiii16s20x"),
    "aarch64": struct.Struct("<hxxi32s4s32s256shhqqq16s20x4x"),
}
"""Of struct utmp: machines that once ran programs of 32 bits kept their shorter numbers."""
RECORD = LAYOUTS.get(platform.machine(), LAYOUTS["x86_64"])
_USER, _HOST, _ADDRESS = 4, 5, 11


def parse_btmp(data: bytes, record: struct.Struct = RECORD) -> Iterator[FailedLogin]:
    """Read whole records."""
    for columns in record.iter_unpack(data):
        user, host = _text(columns[_USER]), _text(columns[_HOST])
        yield FailedLogin(user, _source(columns[_ADDRESS]) or normalize_address(host))


def _source(packed: bytes) -> str:
    if not any(packed):
        return ""
    # IPv4 has the first four bytes to itself.
    return normalize_address(str(ipaddress.ip_address(packed if any(packed[4:]) else packed[:4])))


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="replace")
