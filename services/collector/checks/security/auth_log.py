"""Failed logins in what sshd, su, login and PAM write to the log of authentication. Pure.

The client chooses the user name, and sshd writes it before the address: an address counts only
where no name can have put it. sshd writes several lines about one attempt: those of one process are taken
together.
Source: OpenSSH's auth.c and packet.c, util-linux' login.c and su-common.c, pam_unix.
"""

import ipaddress
import platform
import re
import struct
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

LAYOUTS = {
    "x86_64": struct.Struct("<hxxi32s4s32s256shhiii16s20x"),
    "aarch64": struct.Struct("<hxxi32s4s32s256shhqqq16s20x4x"),
}
"""Of struct utmp: machines that once ran programs of 32 bits kept their shorter numbers."""
RECORD = LAYOUTS.get(platform.machine(), LAYOUTS["x86_64"])
_BTMP_USER, _BTMP_HOST, _BTMP_ADDRESS = 4, 5, 11
"""Columns of a record."""
MAX_CONNECTIONS = 4096
"""So many connections are remembered, to count the last lines about one with its first."""
MAX_LINE = 16_384
MAX_REPEATS = 10_000
_SSHD = frozenset(("sshd", "sshd-session", "sshd-auth"))
_OWN_WORDS = _SSHD | {"su", "login", "sudo"}
"""They say themselves what failed; what PAM says of them is the same once more."""

_LINE = re.compile(
    r"(?:<\d+>)?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S+) \S+ "
    r"(?P<program>[\w./-]+)(?:\[(?P<process>\d+)\])?: (?P<message>.*)"
)
_REPEATED = re.compile(r"message repeated (\d{1,9}) times: \[ ?(.*)\]")

_END = r" from (?P<source>\S+) port \d+"
_FAILED = re.compile(
    r"Failed (?P<method>\S+) for (?:invalid user )?(?P<user>.*)" + _END + r" ssh2(?P<key>: .*)?"
)
_ADDRESS = re.compile(r" from \S+ port \d+ ssh2(?=: |$)")
_INVALID = re.compile(r"Invalid user (?P<user>.*) from (?P<source>\S+)(?: port \d+)?")
_TOO_MANY = re.compile(
    r"error: maximum authentication attempts exceeded for (?:invalid user )?(?P<user>.*)"
    + _END
    + r" ssh2(?: \[preauth\])?"
)
_LEFT = re.compile(
    r"(?:Connection (?:closed|reset) by|Disconnected from) (?:authenticating|invalid) user "
    r"(?P<user>.*) (?P<source>\S+) port \d+(?: \[preauth\])?"
)
_ACCEPTED = re.compile(r"Accepted \S+ for .* from \S+ port \d+ ssh2(?:: .*)?")

_SU = re.compile(r"FAILED (?:SU \(to (?P<to>.*)\) \S+ on \S+|su for (?P<for>.*) by \S+)")
_LOGIN = re.compile(
    r"FAILED LOGIN (?:\(\d+\)|\d+)(?: on '[^']*')?(?: (?:FROM|from) '?(?P<source>[^' ]+)'?)?"
    r" FOR '?(?P<user>.*?)'?, .*"
)
_PAM = re.compile(r"pam_unix\([\w.-]+:auth\): authentication failure; .*")
_PAM_SOURCE = re.compile(r" rhost=(\S*)")
_PAM_USER = re.compile(r"  ?user=(.*)$")


class AuthMessage(NamedTuple):
    """One entry of the log."""

    program: str
    process: str
    """Its number; empty where the log does not have it."""
    text: str
    times: int = 1


class FailedLogin(NamedTuple):
    """A login that failed."""

    user: str
    """As given in the attempt."""
    source: str
    """An IP address; empty when it was made on this host, or when the log leaves it open."""
    times: int = 1


class _SshdEvent(NamedTuple):
    """What a message of sshd means: an attempt, a sign that there was one, the end of both."""

    kind: Literal["attempt", "sign", "end", "accepted"]
    user: str = ""
    source: str = ""


def parse_lines(data: bytes) -> Iterator[AuthMessage]:
    """Read lines of syslog, with traditional or RFC 3339 timestamps; what is neither is left out."""
    for line in data.decode(errors="replace").split("\n"):
        if len(line) <= MAX_LINE and (found := _LINE.fullmatch(line.rstrip("\r"))):
            yield parse_message(found["program"], found["process"] or "", found["message"])


def parse_message(program: str, process: str, text: str) -> AuthMessage:
    """Return an entry; rsyslog writes several that are the same as one that says how many."""
    repeated = _REPEATED.fullmatch(text)
    if repeated is None:
        return AuthMessage(program, process, text)
    return AuthMessage(program, process, repeated[2], min(int(repeated[1]), MAX_REPEATS))


class FailedLogins:
    """Counts each attempt once, however many lines report it, also if some come in a later run."""

    def __init__(self) -> None:
        self._counted: dict[str, bool] = {}
        """Connections of which something was counted; True while that was a sign, not an attempt."""

    def count_new(self, messages: Iterable[AuthMessage]) -> list[FailedLogin]:
        """Return the failed logins that are new in `messages`."""
        found: list[tuple[str, FailedLogin]] = []
        for one in messages:
            event = _sshd(one.text) if one.program in _SSHD else None
            if event is None:
                found += [("", failure) for failure in _other_failures(one)]
            elif event.kind == "accepted":
                # Keys that were tried before the right one are no failed login.
                if self._counted.pop(one.process, False):
                    found = [pair for pair in found if pair[0] != one.process]
            elif times := self._times(one, event):
                found.append((one.process, FailedLogin(event.user, event.source, times)))
        return [failure for _, failure in found]

    def _times(self, one: AuthMessage, event: _SshdEvent) -> int:
        """Return how many attempts are new by a message of sshd."""
        if not one.process:
            return one.times if event.kind == "attempt" else 0
        signed = self._counted.pop(one.process, None)
        if event.kind == "end":
            return int(signed is None)
        attempt = event.kind == "attempt"
        # A sign stays one until the attempt comes that it announced.
        self._counted[one.process] = not attempt and signed is not False
        if len(self._counted) > MAX_CONNECTIONS:
            del self._counted[next(iter(self._counted))]
        return one.times - bool(signed) if attempt else int(signed is None)


def normalize_address(text: str) -> str:
    """Return an IP address as it is usually written; empty when `text` is none."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def _sshd(text: str) -> _SshdEvent | None:
    if found := _FAILED.fullmatch(text):
        return _failed_event(found, text)
    if found := _INVALID.fullmatch(text) or _TOO_MANY.fullmatch(text):
        return _SshdEvent("sign", found["user"], normalize_address(found["source"]))
    if found := _LEFT.fullmatch(text):
        return _SshdEvent("end", found["user"], normalize_address(found["source"]))
    return _SshdEvent("accepted") if _ACCEPTED.fullmatch(text) else None


def _failed_event(found: re.Match[str], text: str) -> _SshdEvent | None:
    if found["method"] == "none":
        return None  # every client asks so first which methods there are
    if found["method"] not in ("publickey", "hostbased"):
        # Nothing follows the address, so no second one can have been added.
        return (
            None if found["key"] else _SshdEvent("attempt", found["user"], normalize_address(found["source"]))
        )
    # Behind the address is the key, and a certificate has a name of its owner's choice.
    clear = len(_ADDRESS.findall(text)) == 1
    return _SshdEvent("sign", found["user"], normalize_address(found["source"]) if clear else "")


def _other_failures(one: AuthMessage) -> Iterator[FailedLogin]:
    if one.program == "su" and (found := _SU.fullmatch(one.text)):
        yield FailedLogin(found["to"] or found["for"] or "", "", one.times)
    elif one.program == "login" and (found := _LOGIN.fullmatch(one.text)):
        yield FailedLogin(found["user"], normalize_address(found["source"] or ""), one.times)
    elif one.program not in _OWN_WORDS and _PAM.fullmatch(one.text):
        sources = _PAM_SOURCE.findall(one.text)
        user = _PAM_USER.search(one.text)
        # A user name may contain a second one: it is unknown which is right.
        yield FailedLogin(
            user[1] if user else "", normalize_address(sources[0]) if len(sources) == 1 else "", one.times
        )


def parse_btmp(data: bytes, record: struct.Struct = RECORD) -> Iterator[FailedLogin]:
    """Read whole records of btmp."""
    for columns in record.iter_unpack(data):
        user, host = _text(columns[_BTMP_USER]), _text(columns[_BTMP_HOST])
        yield FailedLogin(user, _source(columns[_BTMP_ADDRESS]) or normalize_address(host))


def _source(packed: bytes) -> str:
    if not any(packed):
        return ""
    # IPv4 has the first four bytes to itself.
    return normalize_address(str(ipaddress.ip_address(packed if any(packed[4:]) else packed[:4])))


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="replace")
