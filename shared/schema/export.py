"""JSON Schemas of the wire: `python -m shared.schema.export FOLDER` writes them."""

import sys
from inspect import cleandoc
from pathlib import Path
from typing import Any

import msgspec

from shared.schema.alerts import Acknowledgement, Alert, AlertMessage, Notice
from shared.schema.records import AnyRecord
from shared.schema.silences import Silence, SilenceRequest

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


def schemas() -> dict[str, bytes]:
    """Return the text of every schema by file name."""
    return {f"{name}.schema.json": schema_text(kind) for name, kind in MESSAGES.items()}


def schema_text(kind: Any) -> bytes:  # noqa: ANN401 - any annotation
    """Return the JSON Schema of `kind`, laid out for reading."""
    schema = _cleaned({"$schema": DIALECT, **msgspec.json.schema(kind)})
    text = msgspec.json.format(msgspec.json.encode(schema, order="sorted"), indent=2)
    # Python's end of the text has another name everywhere else.
    return text.replace(rb"\\Z", b"$") + b"\n"


def _cleaned(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """Take the indentation out of docstrings: some versions of Python do that themselves, others do not."""
    if isinstance(schema, list):
        return [_cleaned(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: cleandoc(one) if name == "description" and isinstance(one, str) else _cleaned(one)
        for name, one in schema.items()
    }


def main(folder: Path) -> None:
    """Write the schemas into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in schemas().items():
        (folder / name).write_bytes(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
