"""What commands print: tables, ages, names from outside, questions."""

import sys
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

PIPED_WIDTH = 10_000
"""No line is cut or broken where no terminal shows it."""


def console() -> Console:
    """Return the console: colours and the terminal's width on a terminal, plain text elsewhere."""
    piped = not sys.stdout.isatty()
    return Console(highlight=False, width=PIPED_WIDTH if piped else None)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Print rows below their titles, or the sentence `empty`; a title that ends with `>` aligns right."""
    cells = list(rows)
    if not cells:
        print(empty)
        return
    table = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False, header_style="bold")
    for title in columns:
        table.add_column(title.removesuffix(">"), justify="right" if title.endswith(">") else "left")
    for row in cells:
        table.add_row(*map(escape_name, row))
    console().print(table, markup=False)


def age(seconds: float | None) -> str:
    """Return an age in the largest unit that is at least 2: `95 s`, `12 min`, `3 h`, `4 d`."""
    if seconds is None:
        return "unknown"
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def escape_name(name: str) -> str:
    """Return a text from outside with control characters escaped, for a terminal."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in name)


def confirm(question: str) -> bool:
    """Ask on the terminal; without one the answer is no."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    is_sure = sys.stdin.readline().strip().lower() in ("y", "yes")
    if not is_sure:
        sys.stderr.write("\nbotwatch: aborted (use --yes to skip the confirmation)\n")
    return is_sure
