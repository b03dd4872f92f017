"""JSON Schemas of the wire: `python -m shared.schema.export FOLDER` writes them."""

import sys
from inspect import cleandoc
from pathlib import Path
from typing import Any

import msgspec

from shared.schema.alerts import Acknowledgement, Alert, AlertMessage, Notice
from shared.schema.metric_definitions import FAMILIES
from shared.schema.records import KINDS, AnyRecord, BotRecord, Performance
from shared.schema.silences import Silence, SilenceRequest
from shared.schema.units import metric_fields

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MESSAGES: dict[str, Any] = {
    "record": AnyRecord,
    "records": list[AnyRecord],
    "alert": Alert,
    "alert-message": AlertMessage,
    "notice": Notice,
    "acknowledgement": Acknowledgement,
    "silence": Silence,
    "silence-request": SilenceRequest,
}
"""Every message on the wire: the schema `<name>.schema.json`, golden examples `examples/<name>*.json`."""


def message_schemas() -> dict[str, bytes]:
    """Return the text of every schema by file name."""
    return {f"{name}.schema.json": schema_text(kind) for name, kind in MESSAGES.items()}


def schema_text(kind: Any) -> bytes:  # noqa: ANN401 - any annotation
    """Return the JSON Schema of `kind`, laid out for reading."""
    schema = _cleaned({"$schema": DIALECT, **msgspec.json.schema(kind)})
    text = msgspec.json.format(msgspec.json.encode(schema, order="sorted"), indent=2)
    # Python's end of the text has another name everywhere else.
    return text.replace(rb"\\Z", b"$") + b"\n"


CLIENT_SCHEMA = Path("client", "botwatch", "schema.json")
"""The schema file of the Python client, relative to the repository."""


def client_schema() -> bytes:
    """Return the JSON Schemas of the bots' records by kind, without descriptions, for the client."""
    kinds = [record for record in KINDS.values() if issubclass(record, BotRecord)]
    _, parts = msgspec.json.schema_components(kinds)
    named = {
        str(record.__struct_config__.tag): _without_descriptions(parts[record.__name__]) for record in kinds
    }
    named |= {
        name: _without_descriptions(part)
        for name, part in parts.items()
        if name not in {k.__name__ for k in kinds}
    }
    return msgspec.json.format(msgspec.json.encode(named, order="sorted"), indent=1) + b"\n"


CLIENT_METRICS = Path("client", "botwatch", "metrics.json")
"""The names and units of all metrics for the Python client, relative to the repository."""


def client_metrics() -> bytes:
    """Return the families of metrics, each metric with its name, its label and its unit, for the client."""
    units = {field.wire: field.unit.name for field in metric_fields(Performance)}
    families = [
        {
            "title": family.title,
            "metrics": [
                {"name": metric.wire, "label": metric.label, "unit": units[metric.wire]}
                for metric in family.figures
            ],
        }
        for family in FAMILIES
    ]
    return msgspec.json.format(msgspec.json.encode(families), indent=1) + b"\n"


def _without_descriptions(schema: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(schema, list):
        return [_without_descriptions(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: {field: _without_descriptions(value) for field, value in part.items()}
        if name == "properties"
        else _without_descriptions(part)
        for name, part in schema.items()
        if name not in ("title", "description", "default")
    }


def _cleaned(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """Remove the indentation of docstrings: only some versions of Python do that."""
    if isinstance(schema, list):
        return [_cleaned(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: cleandoc(value) if name == "description" and isinstance(value, str) else _cleaned(value)
        for name, value in schema.items()
    }


def main(folder: Path) -> None:
    """Write the schemas to `folder`, and what the client needs to its package."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in message_schemas().items():
        (folder / name).write_bytes(text)
    CLIENT_SCHEMA.write_bytes(client_schema())
    CLIENT_METRICS.write_bytes(client_metrics())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
