"""Settings from the environment; a secret may stand in a file named by `<NAME>_FILE`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

REPOSITORY = Path(__file__).resolve().parents[2]


class PartSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every part reads. A field is the environment variable of the same name in upper case."""

    botwatch_home: Path = Path("var")
    """Where state lives: data/, logs/, run/."""
    botwatch_config: Path = REPOSITORY / "deploy" / "config"
    """The folder of the config documents."""
    redis_url: str = "redis://127.0.0.1:6379/0"
    durability: Literal["everysec", "always"] = "everysec"
    """What a power cut may take: about a second, or nothing, which costs a write to the disk per commit."""
    dashboard_url: str = "http://localhost:3001"
    """Where people open the page: the base of the links in notices."""
    allowed_hosts: str = ""
    """Names that Botwatch is reached by, and origins of pages that may use it, besides the usual ones."""
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    health_host: str = "127.0.0.1"
    health_port: int = 0
    """Where a part without a public port serves /metrics and /health; 0 takes any free port."""


class WebSettings(PartSettings, frozen=True, kw_only=True):
    """What a web part reads besides."""

    bind_host: str = "127.0.0.1"
    trust_proxy: bool = False
    """Whether X-Forwarded-For, -Proto, -Host and -Prefix are those of a reverse proxy in front."""
    web_workers: int = 1
    web_threads: int = 8


def read_variable(name: str, environ: Mapping[str, str]) -> str:
    """Return the value of a variable, or the content of the file that `<name>_FILE` names, or nothing."""
    if path := environ.get(f"{name}_FILE"):
        return Path(path).read_text(encoding="utf-8").strip()
    return environ.get(name, "")
