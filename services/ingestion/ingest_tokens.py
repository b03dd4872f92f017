"""Ingest tokens: which token allows the records of which bots and hosts. Pure.

Records of Botwatch's own parts (hosts, checks, computed metrics) are never accepted from a bot: they could
resolve alerts about others.
"""

import re
from collections.abc import Iterator

from services.ingestion.config import IngestionSettings
from shared.access import bearer_tokens
from shared.access.identity import ANY_NAME, Identity
from shared.schema.faults import Fault, InvalidError
from shared.schema.records import AnyRecord, HostRecord, Performance

_ENTRY = re.compile(rf"(?P<token>{bearer_tokens.PATTERN})=(?P<bot>[^=].*)\Z")


UNRESTRICTED = Identity("anyone", "open", frozenset(("ingest",)), (ANY_NAME,))
"""The identity of Redis clients, and of HTTP clients if access is open and no token is set."""
ENVIRONMENT_TOKENS = ", INGEST_TOKEN, one of INGEST_TOKENS, or COLLECTOR_TOKEN"
"""What is accepted besides an API token, for the message about a missing one."""


def denial(sender: Identity, record: AnyRecord) -> Fault | None:
    """Return why `sender` may not send a record, with a path relative to the record, or None."""
    if isinstance(record, HostRecord):
        return None if sender.may_send_host(record.host) else _host_denial(sender, record)
    if isinstance(record, Performance) and record.source == "computed":
        return Fault("source", "`computed` is reserved for Botwatch's recorder; omit `source`")
    if sender.may_send_bot(record.bot):
        return None
    if not sender.bots:
        expected = "`health` and `check` records"
        return Fault("kind", f"{sender.name} may only write {expected}, got `{record.kind}`")
    hint = f"; see {sender.name}" if sender.name == "INGEST_TOKENS" else ""
    return Fault("bot", f"token is not allowed to write records of {record.bot!r}{hint}")


def _host_denial(sender: Identity, record: HostRecord) -> Fault:
    if sender.hosts:
        return Fault("host", f"token is not allowed to write records of host {record.host!r}")
    return Fault("kind", f"`{record.kind}` records require COLLECTOR_TOKEN or an API token with `hosts`")


class IngestTokens:
    """The tokens of the environment.

    Without COLLECTOR_TOKEN, collectors use INGEST_TOKEN, as in earlier versions.
    """

    def __init__(self, settings: IngestionSettings) -> None:
        """Parse the tokens; InvalidError names every invalid entry without showing a token."""
        self._by_digest: dict[bytes, Identity] = {}
        faults = []
        if settings.ingest_token:
            sender = _sender("INGEST_TOKEN", (ANY_NAME,), is_collector=settings.collector_token is None)
            self._by_digest[bearer_tokens.digest(settings.ingest_token)] = sender
        if settings.collector_token:
            if settings.collector_token == settings.ingest_token:
                faults.append(Fault("COLLECTOR_TOKEN", "expected a different token than INGEST_TOKEN"))
            collector = _sender("COLLECTOR_TOKEN", (), is_collector=True)
            self._by_digest[bearer_tokens.digest(settings.collector_token)] = collector
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
            known = self._by_digest[key].bots if key in self._by_digest else ()
            self._by_digest[key] = _sender("INGEST_TOKENS", (*known, found["bot"]), is_collector=False)

    def __bool__(self) -> bool:
        return bool(self._by_digest)

    def identity_of(self, authorization: str | None) -> Identity | None:
        """Return the identity for an Authorization header; None for a missing or unknown token."""
        key = bearer_tokens.digest_from_header(authorization)
        return None if key is None else self._by_digest.get(key)


def _sender(setting: str, bots: tuple[str, ...], *, is_collector: bool) -> Identity:
    hosts = (ANY_NAME,) if is_collector else ()
    return Identity(setting, "token", frozenset(("ingest",)), bots, hosts=hosts)
