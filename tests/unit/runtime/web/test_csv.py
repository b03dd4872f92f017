"""Tables as CSV."""

from datetime import UTC, datetime

import pytest
from flask import Flask

from shared.runtime.web.csv import csv_response, is_csv_requested


def test_cells_are_text_that_a_spreadsheet_does_not_run() -> None:
    row = {
        "at": datetime(2026, 1, 31, tzinfo=UTC),
        "name": '=HYPERLINK("x")',
        "loss": -1.5,
        "text": "-1e3",
        "missing": None,
        "labels": {"a": 'b"c'},
        "is": True,
        "left out": 1,
    }
    columns = ["at", "name", "loss", "text", "missing", "labels", "is", "never"]
    answer = csv_response([row, {"name": "+1 more"}, {"name": "@x, y"}, {"name": "a\nb"}], columns, "rows")
    assert answer.get_data(as_text=True).split("\r\n") == [
        "at,name,loss,text,missing,labels,is,never",
        '2026-01-31T00:00:00Z,"\'=HYPERLINK(""x"")",-1.5,-1e3,,"{""a"":""b\\""c""}",true,',
        ",'+1 more,,,,,,",
        ',"\'@x, y",,,,,,',
        ',"a\nb",,,,,,',
        "",
    ]
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == "attachment; filename=rows.csv"


def test_many_rows_are_written_in_chunks() -> None:
    answer = csv_response(({"n": n} for n in range(1201)), ["n"], "numbers")
    chunks = list(answer.iter_encoded())
    assert len(chunks) == 3
    assert b"".join(chunks).split() == [b"n", *(str(n).encode() for n in range(1201))]


@pytest.mark.parametrize(
    ("given", "accept", "expected"),
    [
        ("csv", "application/json", True),
        ("json", "text/csv", False),
        (None, "text/csv", True),
        (None, "text/html,*/*;q=0.8", False),
        (None, "text/csv;q=0.1, application/json", False),
        (None, None, False),
    ],
)
def test_format_decides_before_accept(given: str | None, accept: str | None, expected: bool) -> None:
    with Flask("test").test_request_context("/", headers={"Accept": accept} if accept else {}):
        assert is_csv_requested(given) is expected
