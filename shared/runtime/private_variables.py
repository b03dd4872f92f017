"""Find environment variables that only some parts need, because only their config sections use them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import asdict

from shared.runtime.config.documents import Documents, load_documents
from shared.schema.faults import InvalidError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)")
_NAMED = re.compile(
    r"PATH|HOME|USER|LANG|TZ|TMPDIR|DURABILITY|EMBEDDED_REDIS|VALKEY_SERVER|TRUST_PROXY|"
    r"(ALERT|ALLOWED|AUDIT|BIND|BOTWATCH|COLLECTOR|DASHBOARD|HEALTH|HEARTBEAT|HOST|INGEST|INGESTION|LC|LOG|MAX|"
    r"METRICS|PYTHON|REDIS|WEB|WEBSOCKET)_?[A-Z_]*"
)
"""Variables that the system or Botwatch reads by name: `shared.runtime.redis.acl` has their visibility."""


def private_variables(folder: Path, environ: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the parts that need a variable, by its name; variables that all parts need are omitted.

    A variable is private if the other parts can start without it and read the same without it. InvalidError
    for invalid documents.
    """
    documents = load_documents(folder, environ)
    found: dict[str, list[str]] = {}
    for name in sorted(_referred(folder)):
        without = {key: value for key, value in environ.items() if key not in (name, f"{name}_FILE")}
        if len(without) == len(environ) or _NAMED.fullmatch(name):
            continue
        try:
            less = load_documents(folder, without)
        except InvalidError:
            continue
        before, after = _by_reader(documents), _by_reader(less)
        readers = [part for part in before if before[part] != after[part]]
        if readers and "" not in readers:
            found[name] = readers
            documents, environ = less, without
    return found


def _referred(folder: Path) -> set[str]:
    paths = (path for path in folder.iterdir() if path.suffix in (".json", ".yml"))
    return {name for path in paths for name in _VARIABLE.findall(path.read_text(encoding="utf-8"))}


def _by_reader(documents: Documents) -> dict[str, Any]:
    """Return the sections that only one part reads, by part; those that all read under the empty name."""
    notifications = asdict(documents.notifications)
    health = asdict(documents.health)
    monitoring = asdict(health.pop("monitoring"))
    notices = [notifications.pop("channels"), notifications.pop("watchdog"), health.pop("alerts")]
    return {
        "notifier": notices,
        "watchdog": notices,
        "collector": [monitoring.pop("checks"), monitoring.pop("exchanges")],
        "": [documents.performance, notifications, health, monitoring],
    }
