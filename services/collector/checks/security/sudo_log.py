"""Uses of sudo in what it writes to the log of authentication. Pure. Source: sudo's logging.c."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from services.collector.checks.security.auth_log import AuthMessage

MAX_COMMAND = 200
"""Characters that are shown."""
_MAX_SEARCH = 1_000
_COMMAND = " ; COMMAND="
_FIELD = re.compile(r"[A-Z]+=")
_SECRET_OPTION = re.compile(
    r"(?i)((?:^|[\s'\"])-{0,2}[\w.-]*(?:pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|api[_-]?key|private[_-]?key)"
    r"[\w.-]*(?:=|:\s*|\s+))(\"[^\"]*(?:\"|$)|'[^']*(?:'|$)|\S+)"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+\S+")
_URL_PASSWORD = re.compile(r"(://[^\s/:@]*:)[^\s@]+@")
_SHORT_PASSWORD = re.compile(r"(?<=\s)(-p|-P)(?=[^\s=])\S+|(?<=\s)(-u\s*[^\s:]+:)\S+")
"""`mysql -psecret`, `curl -u name:secret`."""


class SudoUse(NamedTuple):
    """Somebody used sudo, or tried to."""

    user: str
    target: str
    """Whom the command ran as."""
    command: str
    """Masked and cut."""
    refusal: str = ""
    """Why it was refused; empty when the command ran."""
    times: int = 1

    def __str__(self) -> str:
        """Say who did what."""
        does = f"{self.user} ran {self.command} as {self.target}"
        if self.refusal:
            does = f"{self.user} was denied {self.command} as {self.target}: {self.refusal}"
        return f"{does} ({self.times} times)" if self.times > 1 else does


def parse_uses(messages: Iterable[AuthMessage]) -> Iterator[SudoUse]:
    """Return the uses and refusals among `messages`."""
    for one in messages:
        if one.program == "sudo" and (use := _use(one)):
            yield use


def _use(one: AuthMessage) -> SudoUse | None:
    user, mark, rest = one.text.strip().partition(" : ")
    # A folder's name and arguments may look like a command: the first is shown, and that there are more.
    before, has_command, command = f" ; {rest}".partition(_COMMAND)
    if not mark or not has_command:
        return None
    fields = before.split(" ; ")[1:]
    # Only why it was refused has no name and stands before the others.
    refusal = fields[0] if fields and not _FIELD.match(fields[0]) else ""
    target = next((field.removeprefix("USER=") for field in fields if field.startswith("USER=")), "root")
    # To look for passwords in all of a very long line would take long.
    shown = truncate(mask(command[:_MAX_SEARCH]))
    if _COMMAND in command or sum(field.startswith("USER=") for field in fields) > 1:
        shown += " (ambiguous log line: more than one command; see the log)"
    return SudoUse(user[:64], target[:64], shown, refusal[:MAX_COMMAND], one.times)


def mask(command: str) -> str:
    """Return `command` with what may be a password, a token or a key masked."""
    command = _SECRET_OPTION.sub(r"\1***", command)
    command = _URL_PASSWORD.sub(r"\1***@", _BEARER.sub(r"\1 ***", command))
    return _SHORT_PASSWORD.sub(lambda found: (found[1] or found[2]) + "***", command)


def truncate(command: str) -> str:
    """Return no more than LONGEST_COMMAND characters of `command`."""
    return command if len(command) <= MAX_COMMAND else command[: MAX_COMMAND - 1] + "…"
