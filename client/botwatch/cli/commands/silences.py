"""`botwatch silences`: list, add and expire silences."""

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote, urlencode

import typer

from botwatch.cli.acting import By, act
from botwatch.cli.api_command import Api, ListGroup, api_command
from botwatch.cli.exit_codes import FAILED, OK
from botwatch.cli.formatting import clock
from botwatch.cli.output import confirm, count, print_line, print_table
from botwatch.cli.rows import print_alerts, short_id
from botwatch.cli.silencing import (
    PATH,
    Comment,
    For,
    create_silence,
    describe_silence,
    end_after,
    parse_matcher,
    read_matcher,
)
from botwatch.errors import RefusedError
from botwatch.typed_json import Document

ID_LENGTH = 32
LIMIT = 1000

app = typer.Typer(cls=ListGroup)


@app.command("list")
@api_command
def list_silences(
    api: Api,
    *,
    all_states: Annotated[bool, typer.Option("--all", help="Expired ones, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=LIMIT, help="At most this many.")] = 100,
) -> int:
    """List the silences that are active or pending."""
    state = {} if all_states else {"state": "active,pending"}
    query = urlencode({**state, "limit": limit}, safe=",")
    silences = api.get(f"{PATH}?{query}", list[Document])
    if api.as_json:
        api.print_json(silences)
        return OK
    now = datetime.now(UTC)
    print_table(
        ("ID", "STATE", "FROM>", "UNTIL>", "BY", "MUTES", "COMMENT"),
        [
            (
                short_id(one["id"]),
                one["status"]["state"],
                clock(one["startsAt"], now),
                clock(one["endsAt"], now),
                one["createdBy"],
                " ".join(str(read_matcher(matcher)) for matcher in one["matchers"]),
                one["status"].get("error") or one["comment"],
            )
            for one in silences
        ],
        empty="No silence has been made yet." if all_states else "Nothing is silenced.",
    )
    return OK


@app.command()
@api_command
def add(
    api: Api,
    matchers: Annotated[
        list[str],
        typer.Argument(
            metavar="MATCHER…", help="bot=alpha, severity!=LOW, 'bot=~scalper-.*'; all must match."
        ),
    ],
    *,
    length: For = "2h",
    comment: Comment = "",
    by: By = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what it would mute.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Skip the confirmation.")] = False,
) -> int:
    """Mute the alerts whose labels match.

    Shows the open ones that do, and asks.

    Labels: alertname (the rule), severity, bot, host, component, category, and those of the records.
    """
    parsed = [parse_matcher(one) for one in matchers]
    end_after(length)  # before anything is asked
    preview = api.post(f"{PATH}/preview", {"matchers": [one.body() for one in parsed]}, Document)
    if dry_run and api.as_json:
        api.print_json(preview)
        return OK
    if not api.as_json:
        _print_preview(preview)
    if dry_run:
        return OK
    if not yes and not confirm(f"Mute what matches {' '.join(map(str, parsed))} for {length}?"):
        return FAILED
    made = create_silence(api, parsed, length, comment or f"silenced {' '.join(map(str, parsed))}", by)
    if api.as_json:
        api.print_json(made)
    else:
        describe_silence(made, datetime.now(UTC))
    return OK


def _print_preview(preview: Document) -> None:
    matches, all_open = preview["matches"], preview["openAlerts"]
    print_line(f"Matches {len(matches)} of {count(all_open, 'open alert')}.")
    if matches:
        print_alerts(matches, datetime.now(UTC))


@app.command()
@api_command
def expire(
    api: Api,
    silence_ids: Annotated[
        list[str], typer.Argument(metavar="ID…", help="Silences: their IDs, or the beginnings of them.")
    ],
    *,
    by: By = "",
) -> int:
    """End silences now."""
    ended = [_end(api, _find_id(api, one), by) for one in silence_ids]
    if api.as_json:
        api.print_json(ended)
    for silence in [] if api.as_json else ended:
        mutes = " ".join(str(read_matcher(one)) for one in silence["matchers"])
        print_line(f"silence {short_id(silence['id'])} ({mutes}) is over")
    return OK


def _end(api: Api, silence_id: str, by: str) -> Document:
    return act(
        lambda name: api.delete(
            f"{PATH}/{silence_id}" + (f"?by={quote(name, safe='')}" if name else ""), Document
        ),
        by,
    )


def _find_id(api: Api, typed: str) -> str:
    """Return the ID of the silence whose ID begins with `typed`; RefusedError unless it is exactly one."""
    if len(typed) >= ID_LENGTH:
        return quote(typed, safe="")
    found = [
        one["id"]
        for one in api.get(f"{PATH}?state=active,pending&limit={LIMIT}", list[Document])
        if one["id"].startswith(typed)
    ]
    if len(found) == 1:
        return str(found[0])
    if found:
        raise RefusedError(f"{len(found)} silences have IDs that begin with {typed!r}: type more of it")
    raise RefusedError(
        f"no active or pending silence has an ID that begins with {typed!r}; "
        "`botwatch silences list` lists them"
    )
