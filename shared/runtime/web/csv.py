"""Tables as CSV (RFC 4180), safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, get_args

import msgspec
from flask import Response, request

CSV = "text/csv"
Format = Literal["json", "csv"]
FORMATS: tuple[Format, ...] = get_args(Format)
"""The values of the parameter `format`."""
CHUNK_ROWS = 500

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a text as a formula. Source: OWASP, CSV Injection."""


def is_csv_requested(given: str | None) -> bool:
    """Say whether the request is for CSV: by its parameter `format`, else by its header `Accept`."""
    if given:
        return given == "csv"
    return request.accept_mimetypes.best_match(["application/json", CSV]) == CSV


def csv_response(rows: Iterable[Mapping[str, object]], columns: Sequence[str], name: str) -> Response:
    """Return rows as a CSV file that is called `name`.csv, with a header line; written while it is sent.

    A missing value and None are an empty cell, moments ISO-8601, lists and objects JSON. A text that a
    spreadsheet would take as a formula begins with an apostrophe.
    """
    response = Response(_lines(rows, columns), content_type=f"{CSV}; charset=utf-8")
    response.headers.set("Content-Disposition", "attachment", filename=f"{name}.csv")
    return response


def _lines(rows: Iterable[Mapping[str, object]], columns: Sequence[str]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for row_number, row in enumerate(rows, start=1):
        writer.writerow([_cell(row.get(column)) for column in columns])
        if row_number % CHUNK_ROWS == 0:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def _cell(value: object) -> str:
    plain = msgspec.to_builtins(value)
    if plain is None:
        return ""
    if not isinstance(plain, str):
        return msgspec.json.encode(plain).decode()
    return f"'{plain}" if plain.startswith(_FORMULA_STARTS) and not _is_number(plain) else plain


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
