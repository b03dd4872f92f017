"""Settings of the dashboard."""

from shared.runtime.settings import WebSettings


class DashboardSettings(WebSettings, frozen=True, kw_only=True):
    """What the dashboard reads."""

    dashboard_port: int = 3001
    ingestion_port: int = 9090
    """Where the page says that records can be sent, on the host that the page came from."""
    websocket_port: int = 8080
    """Where the page finds the broadcaster, on the host that the page came from."""
    websocket_url: str = ""
    """The broadcaster's whole address, where it is not there."""
