"""Internal tokens: API tokens that Botwatch makes for itself at its first start. Pure.

Each is in a file that only its user may read. All parts know their SHA-256, from another file: lines of a
digest, a name and scopes. So they work without the database.
"""

from collections.abc import Mapping

from shared.access.bearer_tokens import digest
from shared.access.identity import ANY_NAME, SCOPES, Identity, Scope
from shared.schema.faults import Fault, InvalidError

INTERNAL_TOKENS: Mapping[str, tuple[Scope, ...]] = {
    "prometheus": ("ingest", "read"),
    "grafana": ("read", "operate"),
    "botwatch": SCOPES,
}
"""Name → scopes: Prometheus' scrapes and alerts, Grafana's silences, and the command `botwatch`."""
SENDING_RECORDS = ("botwatch",)
"""Prometheus sends alerts and no records."""
ACTING_FOR_OTHERS = ("botwatch", "grafana")
"""The command names the user of the operating system who runs it, Grafana its own user who silences."""


def format_internal_tokens(tokens: Mapping[str, str]) -> str:
    """Return the file with the digests of `tokens` (name → token)."""
    lines = (
        f"{digest(token).hex()} {name} {','.join(INTERNAL_TOKENS[name])}" for name, token in tokens.items()
    )
    return "".join(f"{line}\n" for line in lines)


def parse_internal_tokens(text: str) -> dict[bytes, Identity]:
    """Return the identities in a file, by the digest of their token; InvalidError if it is invalid."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        try:
            key, name, scopes = words
            found[bytes.fromhex(key)] = _identity(name, scopes)
        except ValueError as error:
            expected = f"line {number}: expected a digest, a name and scopes"
            raise InvalidError([Fault("INTERNAL_TOKENS", expected)]) from error
    return found


def _identity(name: str, scopes: str) -> Identity:
    given = set(scopes.split(","))
    if not given <= set(SCOPES):
        raise ValueError(scopes)
    names = (ANY_NAME,) if "ingest" in given and name in SENDING_RECORDS else ()
    return Identity(
        f"token:{name}",
        "token",
        frozenset(scope for scope in SCOPES if scope in given),
        names,
        act_for_others=name in ACTING_FOR_OTHERS,
        hosts=names,
        credential=f"token:internal-{name}",
    )
