"""Settings of the broadcaster."""

from shared.runtime.settings import PartSettings


class BroadcasterSettings(PartSettings, frozen=True, kw_only=True):
    """Additional settings of the broadcaster."""

    websocket_host: str = "127.0.0.1"
    websocket_port: int = 8080
    dashboard_port: int = 3001
    """Port of the page on the WebSocket's host: its origin is allowed."""
    websocket_queue_bytes: int = 8 * 2**20
    """Limit of queued data per client; above it the client is dropped as too slow."""
