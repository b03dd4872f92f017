"""Settings of ingestion."""

from typing import Annotated

from msgspec import Meta

from shared.access.bearer_tokens import Token
from shared.runtime.config.documents import Documents
from shared.runtime.settings import WebSettings


class IngestionSettings(WebSettings, frozen=True, kw_only=True):
    """Environment variables of the HTTP endpoint and the Redis listener."""

    ingestion_port: int | None = None
    """Port of the HTTP endpoint; default: `prometheus.port` of performance_logger.json."""
    max_body_bytes: int = 2 * 2**20
    """Limit of a request body, before and after decompression."""
    max_bots: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    """Limit of bots, and of hosts, that can report; records of further names are rejected."""
    metrics_stale_seconds: Annotated[float, Meta(gt=0)] = 300.0
    """After this time without a record, a bot or host has no metrics in /metrics."""
    ingest_token: Token | None = None
    """Allows records of all bots, and of hosts if `collector_token` is not set.

    If none of the three tokens is set, anyone who can reach the HTTP endpoint can write records of all bots.
    """
    ingest_tokens: str = ""
    """Tokens for certain bots: `TOKEN=BOT`, separated by commas or lines; BOT is a name or a glob."""
    collector_token: Token | None = None
    """Allows records of hosts (`health`, `check`) only."""


def http_port(settings: IngestionSettings, documents: Documents) -> int:
    """Return the port of the HTTP endpoint: from the environment, or else from the document."""
    return settings.ingestion_port or documents.performance.prometheus.port
