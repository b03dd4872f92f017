"""Settings of the doors."""

from typing import Annotated

from msgspec import Meta

from shared.runtime.bearer_tokens import Token
from shared.runtime.config.documents import Documents
from shared.runtime.settings import WebSettings


class IngestionSettings(WebSettings, frozen=True, kw_only=True):
    """What the doors read."""

    ingestion_port: int | None = None
    """The HTTP door's port; unset, `prometheus.port` of performance_logger.json."""
    max_body_bytes: int = 2 * 2**20
    """The largest body, after decompression."""
    max_bots: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    """How many bots, and how many hosts, may report; records of the next new name are refused."""
    metrics_stale_seconds: Annotated[float, Meta(gt=0)] = 300.0
    """A bot or host that has not reported for so long has no figures in /metrics."""
    ingest_token: Token | None = None
    """Writes the records of all bots; and of hosts, while there is no `collector_token`.

    Without any of the three tokens whoever reaches the HTTP endpoint may write the records of bots.
    """
    ingest_tokens: str = ""
    """Tokens for some bots each: `TOKEN=BOT` by line or comma, BOT being a name or a glob."""
    collector_token: Token | None = None
    """Writes the records of hosts (`health`, `check`), and nothing else."""


def http_port(settings: IngestionSettings, documents: Documents) -> int:
    """Return the HTTP door's port: the environment's, else the document's."""
    return settings.ingestion_port or documents.performance.prometheus.port
