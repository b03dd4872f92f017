"""Commands of `botwatch rules`: explain and validate the rules, run rule tests, try rules on the past."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from services.evaluator.try_command import try_command
from shared.rules.engine import Engine
from shared.rules.measures.combination import Combination
from shared.rules.rule import Rule
from shared.rules.rule_index import rule_statuses
from shared.rules.rule_state import RuleState
from shared.rules.rule_tests.document import RuleTest
from shared.rules.rule_tests.runner import run_test
from shared.rules.subject import Key
from shared.runtime import databases
from shared.runtime.config.documents import (
    AlertingSection,
    Documents,
    HealthMonitor,
    PerformanceLogger,
    load_document,
    load_documents,
)
from shared.runtime.config.notifications import Notifications
from shared.runtime.config.rules import load_rules
from shared.runtime.environment import load_settings
from shared.runtime.settings import REPOSITORY, PartSettings
from shared.schema.durations import format_duration_ms
from shared.schema.faults import Fault, InvalidError, did_you_mean
from shared.store.rule_state import load_rule_states

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

RUNBOOKS = REPOSITORY / "docs" / "runbooks"
"""Pages that the dashboard shows; a rule's `runbook` is the name of one, or a URL."""

app = typer.Typer()
app.command("try")(try_command)


@app.command("check")
def check_command(
    folder: Annotated[Path | None, typer.Argument(help="Of the config; default: BOTWATCH_CONFIG.")] = None,
    *,
    as_json: Json = False,
) -> int:
    """Validate the rules and explain each one."""
    return run_check_command(folder, os.environ, as_json=as_json)


@app.command("test")
def rule_test_command(
    files: Annotated[list[Path], typer.Argument(help="Rule tests.")], *, as_json: Json = False
) -> int:
    """Run rule tests: series in, expected alerts out."""
    return run_rule_test_command(files, os.environ, as_json=as_json)


def run_check_command(folder: Path | None, environ: Mapping[str, str], *, as_json: bool = False) -> int:
    """Print every rule of a config folder, or its faults; return the exit code.

    If the evaluator has run in BOTWATCH_HOME, its saved rule states show which metrics were never received
    and which windows are too short for how often values arrive, as `GET /api/monitoring/rules` does.
    """
    try:
        settings = load_settings(PartSettings, environ)
        documents = load_documents(folder or settings.botwatch_config, environ)
        rules = load_rules(documents)
    except InvalidError as error:
        sys.stderr.writelines(f"botwatch rules check: {fault}\n" for fault in error.faults)
        return 1
    rule_states = _stored_rule_states(rules, settings, documents)
    statuses = rule_statuses(rules, rule_states or {})
    if as_json:
        _print_json(statuses)
        return 0
    for rule, status in zip(rules, statuses, strict=True):
        sys.stdout.writelines(f"{line}\n" for line in describe_rule(rule))
        if rule_states is not None and status.never_seen:
            sys.stdout.write(f"  no value received yet: {', '.join(status.never_seen)}\n")
        for warning in filter(None, (status.warning, _runbook_warning(rule))):
            sys.stderr.write(f"botwatch rules check: warning: rule {rule.name}: {warning}\n")
    sys.stdout.write(f"{len(rules)} rules\n")
    return 0


def _runbook_warning(rule: Rule) -> str | None:
    """Return what is wrong with the rule's runbook if it is the name of a page that does not exist."""
    name = rule.runbook
    if not name or "://" in name or (RUNBOOKS / f"{name}.md").is_file():
        return None
    hint = did_you_mean(name, [path.stem for path in RUNBOOKS.glob("*.md")])
    return f"no runbook `{name}` in docs/runbooks: the link in alerts leads nowhere{hint}"


def _stored_rule_states(
    rules: Sequence[Rule], settings: PartSettings, documents: Documents
) -> dict[Key, RuleState] | None:
    """Return the evaluator's saved rule states; None if it has never run or they cannot be read."""
    database = databases.health_database(settings, documents)
    try:
        if not Path(make_url(database.url).database or "").is_file():
            return None  # connecting would create an empty file
        database.require_schema("rule_tracks")
        with database.read() as connection:
            stored = load_rule_states(connection)
    except (InvalidError, SQLAlchemyError, OSError) as error:
        reason = str(error).partition("\n")[0]
        sys.stderr.write(f"botwatch rules check: warning: cannot read saved rule states: {reason}\n")
        return None
    finally:
        database.close()
    engine = Engine(rules)
    engine.load_states(stored, 0)
    return engine.states


def run_rule_test_command(paths: Sequence[Path], environ: Mapping[str, str], *, as_json: bool = False) -> int:
    """Run rule tests and print their results; return 1 if one fails."""
    failures: dict[str, list[str]] = {}
    code = 0
    for path in paths:
        try:
            failures[str(path)] = run_rule_test(path, environ)
        except InvalidError as error:
            sys.stderr.writelines(f"botwatch rules test: {fault}\n" for fault in error.faults)
            code = 1
    if as_json:
        _print_json(
            [{"file": path, "passed": not found, "failures": found} for path, found in failures.items()]
        )
    else:
        sys.stdout.writelines(
            f"{path}: {line}\n" for path, found in failures.items() for line in found or ["passed"]
        )
    return 1 if any(failures.values()) else code


def run_rule_test(path: Path, environ: Mapping[str, str]) -> list[str]:
    """Run one rule test and return its failures; InvalidError if the test or its rules are invalid."""
    if not path.is_file():
        raise InvalidError([Fault(str(path), "no such file")])
    test = load_document(path, RuleTest, environ)
    rules = load_rules(_load_documents(path, test, environ))
    try:
        return list(map(str, run_test(test, rules)))
    except InvalidError as error:
        raise InvalidError(
            [Fault(f"{path}: {fault.path}", fault.message) for fault in error.faults]
        ) from error


def _load_documents(path: Path, test: RuleTest, environ: Mapping[str, str]) -> Documents:
    performance = PerformanceLogger(alerting=AlertingSection(conditions=test.conditions))
    if test.rules is not None:
        named = path.parent / test.rules
        if named.is_dir():
            return load_documents(named, environ)
        if not named.is_file():
            raise InvalidError([Fault(f"{path}: $.rules", f"no such file: {named}")])
        performance = load_document(named, PerformanceLogger, environ)
    return Documents(performance, HealthMonitor(), Notifications())


def describe_rule(rule: Rule) -> Iterator[str]:
    """Yield the lines that describe a rule."""
    yield rule.name
    if isinstance(rule.measure, Combination):
        yield f"  {rule.levels[0].severity} if {rule.measure}"
    else:
        steps = []
        for level in rule.levels:
            clear = "" if level.clear is None else f" (clear threshold {level.clear:g})"
            steps.append(f"{level.severity} if {rule.operator} {level.threshold:g}{clear}")
        yield f"  {rule.measure}: {', '.join(steps)}"
    labels = [f"{name}={pattern}" for name, pattern in rule.labels]
    further = [
        ("for", format_duration_ms(rule.for_ms) if rule.for_ms else ""),
        ("then keeps firing for", format_duration_ms(rule.keep_ms) if rule.keep_ms else ""),
        ("bots", " ".join(rule.bots)),
        ("labels", " ".join(labels)),
        ("runbook", rule.runbook or ""),
    ]
    yield "  " + ", ".join([rule.category, *(f"{name} {text}" for name, text in further if text)])
    yield f"  {rule.description}"


def _print_json(value: object) -> None:
    sys.stdout.write(f"{msgspec.json.encode(value).decode()}\n")
