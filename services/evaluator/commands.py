"""What `botwatch rules` does: say how the rules are understood, and play rule tests."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from services.evaluator.coverage import coverage
from services.evaluator.engine import Engine
from services.evaluator.rehearsal import rehearse
from services.evaluator.rules.combination import Combination
from services.evaluator.rules.documents import rules_of
from services.evaluator.rules.rule import Rule
from services.evaluator.script import Rehearsal
from services.evaluator.subject import Key
from services.evaluator.track import Track
from shared.runtime import databases
from shared.runtime.documents import (
    AlertingSection,
    Documents,
    HealthMonitor,
    PerformanceLogger,
    load_document,
    load_documents,
)
from shared.runtime.notifications import Notifications
from shared.runtime.settings import Settings, load_settings
from shared.schema.durations import words
from shared.schema.faults import Fault, InvalidError
from shared.store.tracks import load_tracks


def check_rules(folder: Path | None, environ: Mapping[str, str]) -> int:
    """Print every rule of a config folder as it is understood, or its faults; return the exit code."""
    try:
        settings = load_settings(Settings, environ)
        documents = load_documents(folder or settings.botwatch_config, environ)
        rules = rules_of(documents)
    except InvalidError as error:
        sys.stderr.writelines(f"botwatch rules check: {fault}\n" for fault in error.faults)
        return 1
    tracks = _stored_tracks(rules, settings, documents)
    for rule, status in zip(rules, coverage(rules, tracks or {}), strict=True):
        sys.stdout.writelines(f"{line}\n" for line in read_aloud(rule))
        if tracks is not None and status.never_seen:
            sys.stdout.write(f"  never saw a value of {', '.join(status.never_seen)}\n")
        if status.warning:
            sys.stderr.write(f"botwatch rules check: warning: rule {rule.name}: {status.warning}\n")
    sys.stdout.write(f"{len(rules)} rules\n")
    return 0


def _stored_tracks(
    rules: Sequence[Rule], settings: Settings, documents: Documents
) -> dict[Key, Track] | None:
    """Return what the evaluator remembers of bots and hosts; None where it never ran."""
    database = databases.health_database(settings, documents)
    if not Path(make_url(database.url).database or "").is_file():
        return None  # to connect would make an empty file
    try:
        database.require_schema("rule_tracks")
        with database.read() as connection:
            stored = load_tracks(connection, 0)
    except (InvalidError, SQLAlchemyError):
        return None
    engine = Engine(rules)
    engine.restore(stored, 0)
    return engine.tracks


def test_rules(paths: Sequence[Path], environ: Mapping[str, str]) -> int:
    """Play rule tests and print how they went; return 1 when one did not go as expected."""
    code = 0
    for path in paths:
        try:
            differences = play(path, environ)
        except InvalidError as error:
            sys.stderr.writelines(f"botwatch rules test: {fault}\n" for fault in error.faults)
            code = 1
            continue
        sys.stdout.writelines(f"{path}: {difference}\n" for difference in differences or ["as expected"])
        code = 1 if differences else code
    return code


def play(path: Path, environ: Mapping[str, str]) -> list[str]:
    """Play one rule test and return what went otherwise; InvalidError when it, or its rules, are wrong."""
    if not path.is_file():
        raise InvalidError([Fault(str(path), "no such file")])
    rehearsal = load_document(path, Rehearsal, environ)
    rules = rules_of(_documents(path, rehearsal, environ))
    try:
        return list(map(str, rehearse(rehearsal, rules)))
    except InvalidError as error:
        raise InvalidError([Fault(f"{path}: {one.path}", one.message) for one in error.faults]) from error


def _documents(path: Path, rehearsal: Rehearsal, environ: Mapping[str, str]) -> Documents:
    performance = PerformanceLogger(alerting=AlertingSection(conditions=rehearsal.conditions))
    if rehearsal.rules is not None:
        named = path.parent / rehearsal.rules
        if named.is_dir():
            return load_documents(named, environ)
        if not named.is_file():
            raise InvalidError([Fault(f"{path}: $.rules", f"no such file: {named}")])
        performance = load_document(named, PerformanceLogger, environ)
    return Documents(performance, HealthMonitor(), Notifications())


def read_aloud(rule: Rule) -> Iterator[str]:
    """Yield the lines that say what a rule does."""
    yield rule.name
    if isinstance(rule.measure, Combination):
        yield f"  {rule.levels[0].severity} if {rule.measure}"
    else:
        steps = []
        for level in rule.levels:
            clear = "" if level.clear is None else f" (until no longer {rule.operator} {level.clear:g})"
            steps.append(f"{level.severity} if {rule.operator} {level.threshold:g}{clear}")
        yield f"  {rule.measure}: {', '.join(steps)}"
    labels = [f"{name}={pattern}" for name, pattern in rule.labels]
    further = [
        ("for", words(rule.for_ms) if rule.for_ms else ""),
        ("then keeps firing for", words(rule.keep_ms) if rule.keep_ms else ""),
        ("bots", " ".join(rule.bots)),
        ("labels", " ".join(labels)),
        ("runbook", rule.runbook or ""),
    ]
    yield "  " + ", ".join([rule.category, *(f"{name} {text}" for name, text in further if text)])
    yield f"  {rule.description}"
