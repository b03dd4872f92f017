"""Settings of the dashboard."""

from shared.runtime.settings import WebSettings


class DashboardSettings(WebSettings, frozen=True, kw_only=True):
    """What the dashboard reads."""

    dashboard_port: int = 3001
    ingestion_port: int = 9090
    """Port of the HTTP endpoint for records that the page shows, on the page's own host."""
    websocket_port: int = 8080
    """Port of the broadcaster, on the page's own host."""
    websocket_url: str = ""
    """Address of the broadcaster, where it is not on the page's own host and that port."""
