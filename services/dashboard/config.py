"""Settings of the dashboard."""

from typing import Annotated, Literal

from msgspec import Meta

from shared.runtime.settings import WebSettings


class DashboardSettings(WebSettings, frozen=True, kw_only=True):
    """What the dashboard reads."""

    dashboard_port: int = 3001
    api_requests_per_minute: Annotated[int, Meta(ge=0)] = 1200
    """How many requests a token, or an address where access is open, may send to the API; 0: any number."""
    cors_origins: str = ""
    """Origins whose pages may use the API, separated by commas; `*`: of any, where access is required."""
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
    status_page: Literal["off", "on"] = "off"
    """Whether /status and the badges can be seen by everybody, without signing in."""
    status_page_title: str = "Status of our bots"
    """Heading of the status page."""
    status_page_bots: str = "*"
    """Names of the bots that are shown there, or globs, separated by commas."""
    status_page_labels: str = ""
    """Labels that a bot must have to be shown, such as `venue=kraken, public=yes`; values may be globs."""
    status_page_checks: str = ""
    """Names of the checks that are shown, or globs, separated by commas; empty: none."""
    status_page_money: Literal["off", "on"] = "off"
    """Whether the page shows money too: portfolio values, P&L, drawdowns, and the texts of alerts."""
