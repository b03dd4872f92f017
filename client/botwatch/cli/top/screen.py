"""The screen of the live dashboard, line by line, for a terminal of any size. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from botwatch.cli.formatting import clock, since, sparkline, value
from botwatch.cli.output import STYLES, age, count, escape_name
from botwatch.cli.rows import alert_status
from botwatch.cli.top.model import SORTS, Model, Pane

WIDE = 120
"""Columns from which on there are two columns of tables."""
GAP = 2
LEAST_LINES = 3
"""Of a table: its titles, a row, and the blank line before the next."""
CHECK_STATUSES = ("critical", "warning", "unknown", "ok")
"""The worst first."""
BARS = 16
"""Of the equity of a bot."""
LEAST_WIDTH, LEAST_HEIGHT = 40, 10
KEYS = (
    ("j k, arrows", "move"),
    ("tab", "from the alerts to the bots and back"),
    ("enter", "details of the selected alert or bot"),
    ("a", "acknowledge the selected alert"),
    ("/", "filter bots and alerts by words; escape clears"),
    ("s", "sort the bots by another column"),
    ("q", "quit"),
)
FOOTER = "q quit  tab bots/alerts  enter details  a acknowledge  / filter  s sort  ? help"


class Table(NamedTuple):
    """Rows below their titles; a title that ends with `>` aligns right, the last column takes the rest."""

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    selected: int | None = None
    is_focused: bool = False


def draw(model: Model, width: int, height: int, now: datetime) -> Text:
    """Return the screen, exactly as large as the terminal."""
    if width < LEAST_WIDTH or height < LEAST_HEIGHT:
        lines = [Text(f"{width}x{height} is too small: {LEAST_WIDTH}x{LEAST_HEIGHT} at least.")]
    else:
        head, foot = _head(model, width, now), _foot(model)
        room = height - len(head) - 1
        body = _body(model, width, room, now)
        lines = [*head, *(body + [Text()] * room)[:room], foot]
    for line in lines:
        line.truncate(width, overflow="ellipsis", pad=True)
    return Text("\n", no_wrap=True, end="").join(lines[:height])


def _head(model: Model, width: int, now: datetime) -> list[Text]:
    summary = model.snapshot.summary
    status = str(summary["status"])
    counts = (count(summary["bots"], "bot"), count(summary["hosts"], "host"))
    alerts = count(summary["activeAlerts"], "open alert")
    money = value(summary.get("portfolioValue"), "account currency", summary.get("currency"))
    left = Text.assemble(
        (f" {status} ", f"{STYLES.get(status, '')} reverse"), f" {', '.join(counts)}, {alerts}, {money}"
    )
    right = Text(
        f"not live since {clock(summary['timestamp'], now)}" if model.error else "live ",
        "bold red" if model.error else "green",
    )
    if not model.error:
        right.append(clock(summary["timestamp"], now), "default")
    left.truncate(max(0, width - cell_len(right.plain) - 1), overflow="ellipsis", pad=True)
    reasons = [model.error] if model.error else [*summary["reasons"], *summary["handled"]]
    more = f" (+{len(reasons) - 1})" if len(reasons) > 1 else ""
    reason = Text(escape_name(reasons[0]) if reasons else "Nothing is wrong.", "red" if model.error else "")
    reason.truncate(width - len(more), overflow="ellipsis")
    return [left.append(" ").append_text(right), reason.append(more, "dim"), Text()]


def _foot(model: Model) -> Text:
    if model.prompt:
        return Text.assemble((model.prompt.title, "bold"), escape_name(model.prompt.text), ("█", "blink"))
    if model.message:
        return Text(escape_name(model.message), "bold")
    if model.opened:
        return Text("escape back  j k scroll  a acknowledge  ? help", "dim")
    kept = [("filter: " + model.filter, "bold"), ("  ", "")] if model.filter else []
    return Text.assemble(*kept, (FOOTER, "dim"))


def _body(model: Model, width: int, height: int, now: datetime) -> list[Text]:
    if model.is_help:
        return [Text(f"  {keys:<12} {what}") for keys, what in KEYS]
    if model.opened:
        lines = ["Loading…"] if model.detail is None else model.detail[model.scrolled :]
        return [Text(escape_name(one), STYLES.get(one.split(" ")[0], "")) for one in lines[:height]]
    alerts, bots = _alerts(model, now), _bots(model)
    hosts, events = _hosts(model), _events(model, now)
    if width < WIDE:
        return _stack([alerts, bots, hosts, events], width, height)
    half = (width - GAP) // 2
    left = _stack([bots, hosts], half, height)
    right = _stack([alerts, events], width - GAP - half, height)
    return [_beside(left, right, line, half) for line in range(max(len(left), len(right)))]


def _beside(left: list[Text], right: list[Text], line: int, width: int) -> Text:
    first = left[line].copy() if line < len(left) else Text()
    first.truncate(width, overflow="ellipsis", pad=True)
    first.append(" " * GAP)
    return first.append_text(right[line]) if line < len(right) else first


def _alerts(model: Model, now: datetime) -> Table:
    alerts = model.alerts()
    rows = [
        (
            one["severity"],
            alert_status(one),
            age(since(one["timestamp"], now)),
            f"{one['component']}: {one['message']}",
        )
        for one in alerts
    ]
    title = _title("ALERTS", len(alerts), len(model.snapshot.alerts))
    return _selectable(model, "alerts", (title, "STATUS", "AGE>", "MESSAGE"), rows)


def _bots(model: Model) -> Table:
    bots = model.bots()
    rows = [
        (
            str(one["bot"]),
            value(one.get("portfolioValue"), "account currency", one.get("currency")),
            value(one.get("dayReturn"), "percent"),
            value(one.get("currentDrawdown"), "percent"),
            str(one.get("activeAlerts", 0)),
            "retired" if one.get("retired") else age(one.get("ageSeconds")),
            sparkline(one.get("sparkline") or (), BARS),
        )
        for one in bots
    ]
    title = _title("BOTS", len(bots), len(model.snapshot.bots))
    titles = [title, "VALUE>", "DAY>", "DRAWDOWN>", "ALERTS>", "SEEN>", "LAST HOUR"]
    column = {"open alerts": 4, "day": 2, "drawdown": 3, "value": 1, "last seen": 5}.get(
        SORTS[model.sort].title, 0
    )
    titles[column] = f"↓{titles[column]}"
    return _selectable(model, "bots", titles, rows)


def _selectable(model: Model, pane: Pane, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    return Table(titles, rows, model.position(pane), model.focus == pane)


def _hosts(model: Model) -> Table:
    hosts = [
        (
            host,
            str(one["systemHealth"]),
            f"CPU {_percent(one.get('cpuUsage'))}  memory {_percent(one.get('memoryUsage'))}  "
            f"disk {_percent(one.get('diskUsage'))}  {' '.join(one.get('reasons', ()))}".rstrip(),
        )
        for host, one in model.snapshot.hosts.items()
    ]
    found = [check for checks in model.snapshot.checks.values() for check in checks.values()]
    checks = [
        (check["check"], check["status"], check.get("text", ""))
        for check in sorted(found, key=lambda one: CHECK_STATUSES.index(one["status"]))
    ]
    return Table(("HOSTS, CHECKS", "STATUS", "RESULT"), [*hosts, *checks])


def _events(model: Model, now: datetime) -> Table:
    rows = [
        (clock(one["timestamp"], now), one["severity"] or "-", one["text"]) for one in model.snapshot.events
    ]
    return Table(("RECENT", "", "EVENT"), rows)


def _title(name: str, shown: int, known: int) -> str:
    return f"{name} {shown}" if shown == known else f"{name} {shown}/{known}"


def _percent(number: float | None) -> str:
    return "-" if number is None else f"{number:.0f}%"


def _stack(tables: Sequence[Table], width: int, height: int) -> list[Text]:
    """Return the first tables that have room for a row below each other, with a blank line between them."""
    tables = tables[: (height + 1) // LEAST_LINES]
    shares = share([1 + max(1, len(one.rows)) for one in tables], height - len(tables) + 1)
    lines: list[Text] = []
    for table, lent in zip(tables, shares, strict=True):
        lines += [*([Text()] if lines else []), *_table(table, width, lent)]
    return lines


def share(wanted: Sequence[int], available: int) -> list[int]:
    """Share lines: each gets what it wants, or as much as the others; the first get what is left over."""
    shares = [0] * len(wanted)
    while available > 0 and (hungry := [one for one in range(len(wanted)) if shares[one] < wanted[one]]):
        for one in hungry[:available]:
            shares[one] += 1
            available -= 1
    return shares


def _table(table: Table, width: int, height: int) -> list[Text]:
    """Return the titles, and the rows around the selected one."""
    cells = [[escape_name(cell) for cell in row] for row in table.rows]
    widths = [
        max([cell_len(table.titles[column].rstrip(">")), *(cell_len(row[column]) for row in cells)])
        for column in range(len(table.titles))
    ]
    widths[0] = min(widths[0], max(14, width // 4))
    titles = [one.rstrip(">") for one in table.titles]
    lines = [_line(table, titles, widths)]
    lines[0].stylize("bold underline" if table.is_focused else "bold")
    room = height - 1
    first = max(0, min((table.selected or 0) - room // 2, len(cells) - room))
    for index, row in enumerate(cells[first : first + room], start=first):
        line = _line(table, row, widths)
        if table.is_focused and index == table.selected:
            line.truncate(width, overflow="ellipsis", pad=True)
            line.stylize("reverse")
        lines.append(line)
    if not cells:
        lines.append(Text("none", "dim"))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _line(table: Table, cells: Sequence[str], widths: Sequence[int]) -> Text:
    line = Text()
    for column, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        part = Text(cell, STYLES.get(cell, ""))
        part.truncate(width, overflow="ellipsis")
        blanks = " " * (width - cell_len(part.plain))
        is_right = table.titles[column].endswith(">")
        line.append(blanks if is_right else "").append_text(part)
        if column < len(cells) - 1:
            line.append(("" if is_right else blanks) + " " * GAP)
    return line
