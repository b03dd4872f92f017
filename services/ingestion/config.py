"""Settings of the doors."""

from shared.runtime.bearer import Token
from shared.runtime.documents import Documents
from shared.runtime.settings import WebSettings


class IngestionSettings(WebSettings, frozen=True, kw_only=True):
    """What the doors read."""

    ingestion_port: int | None = None
    """The HTTP door's port; unset, `prometheus.port` of performance_logger.json."""
    max_body_bytes: int = 2 * 2**20
    """The largest body, after decompression."""
    ingest_token: Token | None = None
    """Who posts records must show it; unset, the door is open to whoever reaches it."""


def http_port(settings: IngestionSettings, documents: Documents) -> int:
    """Return the HTTP door's port: the environment's, else the document's."""
    return settings.ingestion_port or documents.performance.prometheus.port
