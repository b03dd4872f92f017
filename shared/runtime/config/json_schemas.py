"""JSON Schemas of the config documents: `python -m shared.runtime.config.json_schemas FOLDER`."""

import sys
from pathlib import Path

from shared.runtime.config.documents import HealthMonitor, PerformanceLogger
from shared.runtime.config.notifications import Notifications
from shared.schema.conditions import Document
from shared.schema.export import schema_text

DOCUMENTS: dict[str, type[Document]] = {
    "performance_logger": PerformanceLogger,
    "health_monitor": HealthMonitor,
    "notifications": Notifications,
}


def document_schemas() -> dict[str, bytes]:
    """Return the text of every schema by file name; checks across keys are not included."""
    return {f"{name}.schema.json": schema_text(kind) for name, kind in DOCUMENTS.items()}


def main(folder: Path) -> None:
    """Write the schemas to `folder`."""
    for name, text in document_schemas().items():
        (folder / name).write_bytes(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
