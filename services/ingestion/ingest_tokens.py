"""Senders: which token may write the records of which bots and hosts. Pure.

What Botwatch's own parts know (hosts, checks, computed figures) is never taken from a bot: it could resolve
alerts about others.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from services.ingestion.config import IngestionSettings
from shared.runtime import bearer_tokens
from shared.schema.faults import Fault, InvalidError
from shared.schema.patterns import glob_matches
from shared.schema.records import AnyRecord, HostRecord, Performance

ANY_NAME = "*"
_ENTRY = re.compile(rf"(?P<token>{bearer_tokens.PATTERN})=(?P<bot>[^=].*)\Z")


class TokenScope(NamedTuple):
    """What one sender may write."""

    bots: tuple[str, ...] = ()
    """Globs over the names of bots."""
    hosts: bool = False
    """Whether it may write `health` and `check` records, as collectors do."""

    def denial(self, record: AnyRecord) -> Fault | None:
        """Return why it may not write a record, the path relative to the record's, or None."""
        if isinstance(record, HostRecord):
            reason = f"`{record.kind}` records require COLLECTOR_TOKEN"
            return None if self.hosts else Fault("kind", reason)
        if isinstance(record, Performance) and record.source == "computed":
            return Fault("source", "`computed` is reserved for Botwatch's recorder; omit `source`")
        if ANY_NAME in self.bots or any(glob_matches(bot, record.bot) for bot in self.bots):
            return None
        if not self.bots:
            return Fault(
                "kind", f"COLLECTOR_TOKEN may only write `health` and `check` records, got `{record.kind}`"
            )
        return Fault("bot", f"token is not allowed to write records of {record.bot!r}; see INGEST_TOKENS")


UNRESTRICTED = TokenScope((ANY_NAME,))
"""Whoever reaches Redis, or the HTTP endpoint while no token is set."""


class IngestTokens:
    """The senders of records over HTTP, by their tokens.

    As long as there is no COLLECTOR_TOKEN, collectors use INGEST_TOKEN, as they did before there was one.
    """

    def __init__(self, settings: IngestionSettings) -> None:
        """Read the tokens; InvalidError names every entry that is wrong, and shows no token."""
        self._by_digest: dict[bytes, TokenScope] = {}
        faults = []
        if settings.ingest_token:
            sender = TokenScope((ANY_NAME,), hosts=settings.collector_token is None)
            self._by_digest[bearer_tokens.digest(settings.ingest_token)] = sender
        if settings.collector_token:
            if settings.collector_token == settings.ingest_token:
                faults.append(Fault("COLLECTOR_TOKEN", "expected another token than INGEST_TOKEN"))
            self._by_digest[bearer_tokens.digest(settings.collector_token)] = TokenScope(hosts=True)
        others = frozenset(self._by_digest)
        faults += self._add_bots(settings.ingest_tokens, others)
        if settings.ingest_tokens and not faults and len(self._by_digest) == len(others):
            faults.append(Fault("INGEST_TOKENS", "expected at least one TOKEN=BOT"))
        if faults:
            raise InvalidError(faults)

    def _add_bots(self, text: str, others: frozenset[bytes]) -> Iterator[Fault]:
        for number, entry in enumerate(re.split(r"[,\n]", text), 1):
            if not entry.strip():
                continue
            found = _ENTRY.match(entry.strip())
            if found is None:
                message = (
                    f"entry {number}: expected TOKEN=BOT, the token of {bearer_tokens.FORMAT_DESCRIPTION}"
                )
                yield Fault("INGEST_TOKENS", message)
                continue
            key = bearer_tokens.digest(found["token"])
            if key in others:
                message = f"entry {number}: expected another token than INGEST_TOKEN and COLLECTOR_TOKEN"
                yield Fault("INGEST_TOKENS", message)
            known = self._by_digest.get(key, TokenScope())
            self._by_digest[key] = TokenScope((*known.bots, found["bot"]), known.hosts)

    def scope_of(self, authorization: str | None) -> TokenScope | None:
        """Return who sends a request with this header Authorization; None: nobody that may write."""
        if not self._by_digest:
            return UNRESTRICTED
        key = bearer_tokens.digest_from_header(authorization)
        return None if key is None else self._by_digest.get(key)
