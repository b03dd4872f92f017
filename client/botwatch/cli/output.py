"""What commands print: tables, ages, names from outside, questions."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPED_WIDTH = 10_000
"""No line is cut or broken where no terminal shows it."""

STYLES = MappingProxyType(
    {
        **dict.fromkeys(("CRITICAL", "critical", "ACTIVE", "failed", "FAILED"), "bold red"),
        **dict.fromkeys(("HIGH",), "red"),
        **dict.fromkeys(("MEDIUM", "WARNING", "warning", "PENDING", "pending"), "yellow"),
        **dict.fromkeys(("LOW", "UNKNOWN", "unknown", "running"), "cyan"),
        **dict.fromkeys(("HEALTHY", "ok", "RESOLVED", "SENT", "done", "active"), "green"),
        **dict.fromkeys(("MUTED", "ACKNOWLEDGED", "expired", "retired", "no data"), "dim"),
    }
)
"""Words of severity and status: how a terminal shows a cell that is one."""


class _Console(Console):
    """A console that leaves a closed pipe to `main`."""

    def on_broken_pipe(self) -> None:
        """Raise the BrokenPipeError that is being handled; Rich would exit with 1."""
        raise  # noqa: PLE0704 - Rich calls this where it handles the error


def console() -> Console:
    """Return the console: colours and the terminal's width on a terminal, plain text elsewhere."""
    piped = not sys.stdout.isatty()
    return _Console(highlight=False, width=PIPED_WIDTH if piped else None)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Print rows below their titles, or the sentence `empty`; a title that ends with `>` aligns right."""
    cells = list(rows)
    if not cells:
        print(empty)
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for title in columns:
        table.add_column(
            title.removesuffix(">"),
            justify="right" if title.endswith(">") else "left",
            no_wrap=title != columns[-1],  # long texts are last
        )
    for row in cells:
        table.add_row(*map(styled, row))
    out = console()
    with out.capture() as shown:
        out.print(table)
    print("\n".join(line.rstrip() for line in shown.get().splitlines()))


def styled(text: str) -> Text:
    """Return a text from outside for a terminal, coloured if it is a word of severity or status."""
    return Text(escape_name(text), STYLES.get(text, ""))


def print_line(text: str, *, style_of: str = "") -> None:
    """Print a line with its control characters escaped; the word `style_of` in the colour of its meaning."""
    line = Text(escape_name(text))
    if style_of:
        line.highlight_words([style_of], STYLES.get(style_of, ""))
    console().print(line, soft_wrap=not sys.stdout.isatty())


def print_fields(fields: Mapping[str, str | None]) -> None:
    """Print names and values below each other; those without a value are left out."""
    shown = {name: text for name, text in fields.items() if text}
    names = max(map(len, shown), default=0)
    for name, text in shown.items():
        print_line(f"  {name:<{names}}  {text}")


def fail(text: str) -> None:
    """Print what went wrong on stderr."""
    sys.stderr.write(f"botwatch: {escape_name(text)}\n")


def count(number: int, one: str) -> str:
    """Return a number of things: `1 bot`, `3 bots`."""
    return f"{number:,} {one}" if number == 1 else f"{number:,} {one}s"


def width() -> int:
    """Return the columns of the terminal; many where there is none."""
    return console().width


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
