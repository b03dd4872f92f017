"""Settings of the broadcaster."""

from shared.runtime.settings import PartSettings


class BroadcasterSettings(PartSettings, frozen=True, kw_only=True):
    """What the broadcaster reads besides."""

    websocket_host: str = "127.0.0.1"
    websocket_port: int = 8080
    dashboard_port: int = 3001
    """Where the page is, on the host that its WebSocket goes to: its origin is let in."""
    websocket_queue_bytes: int = 8 * 2**20
    """How much may wait for one client before it is dropped as too slow."""
