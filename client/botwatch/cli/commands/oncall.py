"""`botwatch oncall`: who is on call, now and next."""

from datetime import datetime
from typing import Annotated

import typer

from botwatch.cli.api_command import Api, api_command
from botwatch.cli.exit_codes import OK
from botwatch.cli.formatting import clock
from botwatch.cli.output import print_line, print_table
from botwatch.typed_json import Document

app = typer.Typer()


@app.command()
@api_command
def oncall(
    api: Api,
    *,
    days: Annotated[int, typer.Option(min=1, max=92, help="Shifts of this many days, with --shifts.")] = 28,
    shifts: Annotated[bool, typer.Option("--shifts", help="List the coming shifts, too.")] = False,
) -> int:
    """Show who is on call now and next, for each rotation."""
    found = api.get(f"/api/monitoring/on-call?days={days}", Document)
    if api.as_json:
        api.print_json(found)
        return OK
    now = datetime.fromisoformat(found["at"])
    print_table(
        ("ROTATION", "NOW", "UNTIL>", "REACHED BY", "NEXT", "FROM>"),
        [_row(one, now) for one in found["rotations"]],
        empty="No rotation is configured: see docs/notices.md.",
    )
    for person in found["people"]:
        if not person["reachable"]:
            print_line(f"{person['name']} cannot be reached: none of their contacts is enabled.")
    if shifts:
        _print_shifts(found["rotations"], now)
    return OK


def _row(rotation: Document, now: datetime) -> tuple[str, ...]:
    current, following = rotation["now"], rotation["next"]
    return (
        rotation["name"],
        current["person"] + (" (override)" if current["override"] else ""),
        clock(current["until"], now),
        current["channel"] or "nothing",
        following["person"] if following else "nobody else",
        clock(following["start"] if following else None, now),
    )


def _print_shifts(rotations: list[Document], now: datetime) -> None:
    print()
    print_table(
        ("ROTATION", "FROM>", "UNTIL>", "PERSON"),
        [
            (
                rotation["name"],
                clock(shift["start"], now),
                clock(shift["end"], now),
                shift["person"] + (" (override)" if shift["override"] else ""),
            )
            for rotation in rotations
            for shift in rotation["shifts"]
        ],
        empty="",
    )
