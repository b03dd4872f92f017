"""Settings from the environment; a secret can be in a file named by `<NAME>_FILE`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

REPOSITORY = Path(__file__).resolve().parents[2]
ENCRYPTED_PREFIX = "encrypted:"
"""Prefix of an encrypted value in a config document."""


class PartSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of every part. A field is the environment variable of the same name in upper case."""

    botwatch_home: Path = Path("var")
    """The folder of all state: data/, logs/, run/."""
    botwatch_config: Path = REPOSITORY / "deploy" / "config"
    """The folder of the config documents."""
    redis_url: str = "redis://127.0.0.1:6379/0"
    durability: Literal["everysec", "always"] = "everysec"
    """What a power cut may lose: about a second, or nothing at the cost of an fsync per commit."""
    dashboard_url: str = "http://localhost:3001"
    """Public URL of the page: the base of links in notifications."""
    allowed_hosts: str = ""
    """Additional host names of Botwatch, and additional origins of pages that may use it."""
    access: Literal["open", "required"] = "open"
    """`open`: anyone who can reach a port can do everything, for loopback only; `required`: nothing without
    an identity (a user's session, or an API token)."""
    internal_tokens: str = ""
    """The digests of Botwatch's own tokens (`shared.access.internal_tokens`), usually from a file."""
    bind_address: str = ""
    """In a container: the address at which its port is published on the host."""
    tls_certificate: Path | None = None
    """PEM file: the public ports speak TLS with this certificate and its chain, which may be renewed."""
    tls_key: Path | None = None
    """PEM file with the certificate's private key, without a password."""
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    health_host: str = "127.0.0.1"
    health_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    """Port of /metrics and /health of a part without a public port; 0: any free port."""


class WebSettings(PartSettings, frozen=True, kw_only=True):
    """Additional settings of the web parts."""

    bind_host: str = "127.0.0.1"
    trust_proxy: bool = False
    """Whether to trust X-Forwarded-For, -Proto, -Host and -Prefix of a reverse proxy."""
    web_workers: int = 1
    web_threads: int = 8


def read_variable(name: str, environ: Mapping[str, str]) -> str:
    """Return the content of the file named by `<name>_FILE`, or else the variable's value, or ''."""
    if path := environ.get(f"{name}_FILE"):
        return Path(path).read_text(encoding="utf-8").strip()
    return environ.get(name, "")
