"""A report as PDF, typeset by Typst: its wheel has all it needs, fonts too.

The document goes in as JSON and is only data to the template: nothing that a bot names is markup.
"""

from pathlib import Path

import msgspec
import typst

from services.jobs.reports.document import LaidOut

_TEMPLATE = (Path(__file__).parent / "report.typ").read_text(encoding="utf-8")


def render_pdf(document: LaidOut) -> bytes:
    """Return the PDF of a report."""
    data = msgspec.json.encode(document).decode()
    return typst.compile(
        _TEMPLATE.encode(), format="pdf", sys_inputs={"document": data}, ignore_system_fonts=True
    )
