"""Site: the installation that diagnostics look at: settings, documents, home, ports, and what runs."""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

import psutil

from services.native import compose
from shared.runtime import credentials
from shared.runtime.config.documents import Documents, HealthMonitor, PerformanceLogger, load_documents
from shared.runtime.config.notifications import Port
from shared.runtime.environment import load_settings
from shared.runtime.settings import PartSettings
from shared.runtime.supervisor_pid import running_supervisor
from shared.schema.faults import InvalidError

Way = Literal["native", "compose", "container"]
"""Where the parts run: on this machine, in containers on it, or in the containers beside this one."""


class UpSettings(PartSettings, frozen=True, kw_only=True):
    """Settings that the start reads."""

    ingestion_port: Port | None = None
    dashboard_port: Port = 3001
    websocket_port: Port = 8080
    redis_port: Port = 6379


class Site:
    """One installation. Reads the environment once; raises InvalidError for invalid variables."""

    def __init__(
        self, environ: Mapping[str, str], way: Way = "native", *, demo: bool = False, production: bool = False
    ) -> None:
        self.environ = environ
        self.way = way
        self.production = production
        self.settings = load_settings(UpSettings, environ)
        home = self.settings.botwatch_home
        if demo and not environ.get("BOTWATCH_HOME"):
            home /= "demo"  # a bot of one's own starts without the demo's history
        self.home = home.absolute()
        self.documents: Documents | None = None
        self.faults: tuple[str, ...] = ()
        """What is wrong with the config documents."""
        try:
            self.documents = load_documents(self.settings.botwatch_config, environ)
        except InvalidError as error:
            self.faults = tuple(map(str, error.faults))

    @property
    def credentials(self) -> Path:
        """The folder of generated credentials."""
        return self.home / credentials.FOLDER

    @property
    def is_redis_embedded(self) -> bool:
        """Whether Botwatch runs Redis itself."""
        return not self.environ.get("REDIS_URL") and not self.environ.get("REDIS_URL_FILE")

    @property
    def redis_url(self) -> str:
        """The URL of Redis with all rights; without a password before the first start."""
        if self.is_redis_embedded:
            try:
                return credentials.redis_url(self.credentials, "botwatch")
            except OSError:
                return f"redis://127.0.0.1:{self.settings.redis_port}/0"
        return self.settings.redis_url

    @property
    def api_token(self) -> str:
        """Botwatch's own API token for the command line; empty if there is none that this user may read."""
        url_file = self.environ.get("REDIS_URL_FILE", "")
        folder = Path(url_file).parent if self.way == "container" else self.credentials / "botwatch"
        try:
            return (folder / credentials.TOKEN_FILE).read_text(encoding="utf-8").strip()
        except OSError:
            return ""

    @property
    def public_ports(self) -> dict[str, int]:
        """The ports of the parts: setting → port."""
        documents = self.documents
        default = documents.performance.prometheus.port if documents else 9090
        return {
            "INGESTION_PORT": self.settings.ingestion_port or default,
            "DASHBOARD_PORT": self.settings.dashboard_port,
            "WEBSOCKET_PORT": self.settings.websocket_port,
        }

    @property
    def ports(self) -> dict[str, int]:
        """The ports that must be free for the start: setting → port."""
        if self.way == "compose":
            return self._compose_ports
        redis = {"REDIS_PORT": self.settings.redis_port} if self.is_redis_embedded else {}
        return self.public_ports | redis

    @property
    def databases(self) -> dict[str, Path]:
        """The files of the databases: line of migrations → path; by default if documents are invalid."""
        documents = self.documents
        base = self.home / "enterprise" / "monitoring"
        sections = {
            "performance": (documents.performance if documents else PerformanceLogger()).database,
            "health": (documents.health if documents else HealthMonitor()).database,
        }
        return {line: Path(os.path.normpath(base / section.path)) for line, section in sections.items()}

    @cached_property
    def _compose_ports(self) -> dict[str, int]:
        return compose.published_ports(self.environ)

    @property
    def grafana_password(self) -> str:
        """The password for Grafana's admin that somebody has set; empty if it is generated."""
        if self.way == "compose":
            return compose.grafana_password(self.environ)
        return self.environ.get("GRAFANA_PASSWORD", "")

    @cached_property
    def runs_in_containers(self) -> bool:
        """Whether containers of the compose stack run."""
        return self.way == "compose" and compose.is_running(self.environ)

    @cached_property
    def supervisor(self) -> psutil.Process | None:
        """The supervisor that runs in this home."""
        return running_supervisor(self.home)


def production_site(environ: Mapping[str, str], way: Way) -> Site:
    """Return the installation with the settings of production: nobody may do anything without an identity."""
    return Site({"ACCESS": "required", **environ}, way, production=True)
