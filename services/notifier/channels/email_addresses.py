"""E-mail addresses: parsed from the configuration, and encoded for SMTP. Pure."""

import re
from collections.abc import Iterable, Iterator
from email.headerregistry import Address
from typing import NamedTuple

from shared.runtime.http.urls import ascii_host

_PARTS = re.compile(r'(?:"(?:\\.|[^"\\])*"|[^,])+')
"""Text between commas that are not in quotes."""


class Mailbox(NamedTuple):
    """An address with a display name, which may be empty."""

    name: str
    address: str
    """Domain in ASCII; the local part may be non-ASCII (RFC 6531)."""

    @property
    def domain(self) -> str:
        """The part after the @, empty without one."""
        return self.address.rpartition("@")[2] if "@" in self.address else ""

    @property
    def header(self) -> Address:
        """The address for a mail header."""
        user, at, domain = self.address.rpartition("@")
        return Address(self.name, user if at else domain, domain if at else "")


def split_addresses(texts: Iterable[str]) -> Iterator[str]:
    """Yield each single address of `texts`: `Doe, John <john@example.org>` is one, `a@b, c@d` are two."""
    for text in texts:
        waiting: list[str] = []
        for part in (part.strip() for part in _PARTS.findall(" ".join(text.split()))):
            waiting.append(part)
            if part.endswith(">"):
                yield ", ".join(waiting)
                waiting.clear()
            elif "@" in part:
                yield from filter(None, waiting)
                waiting.clear()
        yield from filter(None, waiting)


def parse_mailbox(text: str) -> Mailbox:
    """Parse one address. Raises UnicodeError if its domain has no ASCII form."""
    name, bracket, address = text.rpartition("<")
    address = address.removesuffix(">").strip() if bracket else text.strip()
    user, at, domain = address.rpartition("@")
    name = name.strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return Mailbox(name, f"{user}{at}{ascii_host(domain) if at else domain}")
