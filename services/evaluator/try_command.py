"""The command `botwatch rules try`: how often a rule would have fired on the stored records."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace as Options
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError

from shared.rules.loader import rule_from_condition
from shared.rules.rule import Rule
from shared.rules.subject import Subject
from shared.rules.trial import SubjectTrial, TrialResult
from shared.runtime import clock, databases
from shared.runtime.command_home import require_database
from shared.runtime.config.documents import Documents, load_documents
from shared.runtime.config.drafts import parse_draft
from shared.runtime.config.rules import load_rules
from shared.runtime.environment import load_settings
from shared.runtime.rule_trial import TrialSources, try_rule
from shared.runtime.settings import PartSettings
from shared.schema.faults import Fault, InvalidError, did_you_mean
from shared.schema.formatting import format_span
from shared.schema.rule_trials import MAX_DAYS
from shared.schema.terminal_escaping import escape_controls
from shared.schema.timestamps import to_wire


def try_command(
    rule: Annotated[
        str | None,
        typer.Argument(
            help="A loaded rule, or a file with one condition in YAML or JSON; default: every loaded rule."
        ),
    ] = None,
    *,
    days: Annotated[int, typer.Option(min=1, max=MAX_DAYS, help="How many days back.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Show how often a rule would have fired on the stored records."""
    return run_try_command(Options(rule=rule, days=days, json=as_json), os.environ)


def run_try_command(options: Options, environ: Mapping[str, str]) -> int:
    """Try the rules and print the results; return the exit code."""
    try:
        settings = load_settings(PartSettings, environ)
        documents = load_documents(settings.botwatch_config, environ)
        rules = _chosen(options.rule, documents)
        with (
            closing(databases.performance_database(settings, documents)) as performance,
            closing(databases.health_database(settings, documents)) as health,
        ):
            for database in (performance, health):
                require_database(database, "log_position", settings.botwatch_home)
            sources, found = TrialSources(performance, health, documents), {}
            with Console(stderr=True).status("") as progress:
                for number, rule in enumerate(rules, 1):
                    progress.update(f"{number} of {len(rules)}: {rule.name}")
                    result = try_rule(rule, sources, timedelta(days=options.days), clock.now())
                    found[rule.name] = result
                    if not options.json:
                        sys.stdout.writelines(f"{line}\n" for line in _lines(rule, result))
    except InvalidError as error:
        sys.stderr.writelines(f"botwatch rules try: {fault}\n" for fault in error.faults)
        return 1
    except SQLAlchemyError as error:
        sys.stderr.write(f"botwatch rules try: {str(error).partition(chr(10))[0]}\n")
        return 1
    if options.json:
        text = msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
        sys.stdout.write(f"{text}\n")
    return 0


def _chosen(given: str | None, documents: Documents) -> list[Rule]:
    """Return the rules to try: all that are loaded, the one of that name, or the one in the file."""
    rules = load_rules(documents)
    if given is None:
        return rules
    if named := [rule for rule in rules if rule.name == given]:
        return named
    path = Path(given)
    if not path.is_file():
        hint = did_you_mean(given, [rule.name for rule in rules])
        raise InvalidError([Fault(given, f"neither a loaded rule nor a file{hint}")])
    return [rule_from_condition(parse_draft(path.read_text(encoding="utf-8"), f"{path}: $"))]


def _lines(rule: Rule, result: TrialResult) -> Iterator[str]:
    held = f", pending {result.pending} times without firing" if result.pending else ""
    muted = f", {result.muted} of them muted" if result.muted else ""
    yield f"{rule.name}: {result.alerts} alerts{muted}{held}"
    if result.records_from is None:
        yield "  no record that it reads is stored"
    elif result.records_from > result.start:
        yield f"  records begin at {to_wire(result.records_from)}"
    if result.minutes_until:
        yield f"  until {to_wire(result.minutes_until)} with the last computed metrics of each minute only"
    for subject in result.subjects:
        yield f"  {_describe(subject)}"
    if result.subjects_left_out:
        yield f"  and {result.subjects_left_out} more bots or hosts"


def _describe(subject: SubjectTrial) -> str:
    name = Subject(subject.bot, subject.host, ()).name
    labels = "".join(f" {label}={text}" for label, text in subject.labels.items())
    text = f"{name}{labels}: {subject.alerts} alerts"
    if subject.first_at and subject.last_at:
        text += (
            f", open for {format_span(subject.total_seconds)}, longest {format_span(subject.longest_seconds)}"
            f", first {to_wire(subject.first_at)}, last {to_wire(subject.last_at)}"
        )
    if subject.is_open:
        text += ", open now"
    if subject.pending:
        text += f", pending {subject.pending} times without firing"
    return escape_controls(text)
