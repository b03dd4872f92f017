"""Pages of other origins that may use the API (CORS, Fetch Standard): none unless CORS_ORIGINS names them.

They read, and change things with an API token, never with somebody's session: credentials are not allowed.
"""

from urllib.parse import urlsplit

from flask import Flask
from flask_cors import CORS

from services.dashboard.config import DashboardSettings
from shared.schema.faults import Fault, InvalidError

ANY = "*"
MAX_AGE_S = 600
"""How long a browser may keep the answer to a preflight request."""
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
REQUEST_HEADERS = ["Authorization", "Content-Type", "If-None-Match"]
RESPONSE_HEADERS = [
    "Content-Disposition", "ETag", "Link", "RateLimit", "RateLimit-Policy", "Retry-After",
]  # fmt: skip


def foreign_origins(settings: DashboardSettings) -> frozenset[str]:
    """Return the origins of CORS_ORIGINS. Raises InvalidError for what is no origin."""
    given = [entry.strip().rstrip("/").lower() for entry in settings.cors_origins.split(",") if entry.strip()]
    faults = [
        Fault("CORS_ORIGINS", f"expected origins like https://desk.example, or *; got {entry!r}")
        for entry in given
        if entry != ANY and not _is_origin(entry)
    ]
    if ANY in given and settings.access == "open":
        text = "* requires ACCESS=required: any page that you visit could read everything"
        faults.append(Fault("CORS_ORIGINS", text))
    if faults:
        raise InvalidError(faults)
    return frozenset(given)


def install_cors(app: Flask, origins: frozenset[str]) -> None:
    """Add the CORS headers for `origins` to the responses of the API."""
    if origins:
        CORS(
            app,
            resources=r"/api/*",
            origins=sorted(origins),
            methods=METHODS,
            allow_headers=REQUEST_HEADERS,
            expose_headers=RESPONSE_HEADERS,
            max_age=MAX_AGE_S,
            send_wildcard=ANY in origins,
        )


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    name = parts.hostname or ""
    netloc = (f"[{name}]" if ":" in name else name) + (f":{port}" if port is not None else "")
    return parts.scheme in ("http", "https") and bool(name) and text == f"{parts.scheme}://{netloc}"
