"""Ingest tokens: which token allows the records of which bots and hosts. Pure.

Records of Botwatch's own parts (hosts, checks, computed metrics) are never accepted from a bot: they could
resolve alerts about others.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from services.ingestion.config import IngestionSettings
from shared.access import bearer_tokens
from shared.schema.faults import Fault, InvalidError
from shared.schema.patterns import glob_matches
from shared.schema.records import AnyRecord, HostRecord, Performance

ANY_NAME = "*"
_ENTRY = re.compile(rf"(?P<token>{bearer_tokens.PATTERN})=(?P<bot>[^=].*)\Z")


class TokenScope(NamedTuple):
    """The records that a token allows."""

    bots: tuple[str, ...] = ()
    """Globs for names of bots."""
    hosts: bool = False
    """Whether `health` and `check` records are allowed, as for collectors."""

    def denial(self, record: AnyRecord) -> Fault | None:
        """Return why a record is not allowed, with a path relative to the record, or None."""
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
"""The scope of Redis clients, and of HTTP clients if no token is set."""


class IngestTokens:
    """The scopes of all tokens for HTTP.

    Without COLLECTOR_TOKEN, collectors use INGEST_TOKEN, as in earlier versions.
    """

    def __init__(self, settings: IngestionSettings) -> None:
        """Parse the tokens; InvalidError names every invalid entry without showing a token."""
        self._by_digest: dict[bytes, TokenScope] = {}
        faults = []
        if settings.ingest_token:
            sender = TokenScope((ANY_NAME,), hosts=settings.collector_token is None)
            self._by_digest[bearer_tokens.digest(settings.ingest_token)] = sender
        if settings.collector_token:
            if settings.collector_token == settings.ingest_token:
                faults.append(Fault("COLLECTOR_TOKEN", "expected a different token than INGEST_TOKEN"))
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
                message = f"entry {number}: expected a different token than INGEST_TOKEN and COLLECTOR_TOKEN"
                yield Fault("INGEST_TOKENS", message)
            known = self._by_digest.get(key, TokenScope())
            self._by_digest[key] = TokenScope((*known.bots, found["bot"]), known.hosts)

    def scope_of(self, authorization: str | None) -> TokenScope | None:
        """Return the scope for an Authorization header; None for a missing or unknown token."""
        if not self._by_digest:
            return UNRESTRICTED
        key = bearer_tokens.digest_from_header(authorization)
        return None if key is None else self._by_digest.get(key)
