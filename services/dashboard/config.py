"""Settings of the dashboard."""

from typing import Literal

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
    proxy_user_header: str = ""
    """Header in which a reverse proxy names the user that it has signed in, such as X-Forwarded-User."""
    proxy_addresses: str = ""
    """Addresses and networks, separated by commas, from which that header is believed."""
    proxy_default_role: Literal["", "viewer", "operator", "admin"] = ""
    """Role of names in that header that are no user; empty to refuse them."""
