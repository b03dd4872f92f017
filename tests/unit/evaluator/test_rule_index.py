"""Rules whose metrics were never received, including misspelt ones."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from services.evaluator.commands import run_check_command
from shared.rules.engine import Engine
from shared.rules.rule_index import rule_statuses
from shared.runtime.config.documents import load_documents
from shared.runtime.config.rules import load_rules
from shared.runtime.databases import health_database
from shared.runtime.environment import load_settings
from shared.runtime.settings import PartSettings
from shared.schema import redis_keys
from shared.schema.records import Performance
from shared.store.database import Database
from shared.store.migrate import migrate
from shared.store.rule_state import save_rule_states
from tests.unit.evaluator.test_time import Clocked, start, write
from tests.unit.rules.rule_playback import at, moment, records, rule

__all__ = ["start"]
PART = {"operator": ">", "threshold": 1}
BOTH: dict[str, Any] = {
    "name": "both",
    "kind": "combination",
    "conditions": [{"metricName": "maxDrawdown", **PART}, {"metricName": "wnRate", **PART}],
}


def test_a_misspelt_metric() -> None:
    """A name that no record kind has and that never came is warned about, with the nearest one."""
    engine = Engine([rule(metricName="maxDrawdwn"), rule(name="own"), rule(**BOTH)])
    list(engine.process(records(1, 5), at(1)))
    list(
        engine.process(
            [Performance(bot="a", portfolio_value=1.0, max_drawdown=5.0, timestamp=moment(1))], at(1)
        )
    )
    wrong, own, both = rule_statuses(engine._rules.values(), engine.states)  # noqa: SLF001
    assert (wrong.subjects, wrong.never_seen) == (0, ["maxDrawdwn"])
    assert wrong.warning is not None
    assert wrong.warning.endswith("did you mean `maxDrawdown`?")
    assert (own.subjects, own.never_seen, own.warning) == (1, [], None)
    assert both.never_seen == ["wnRate"]
    assert both.warning is not None
    assert "`winRate`" in both.warning


def test_a_bot_counts_once() -> None:
    """What a bot reports and what is computed of it is judged apart, and is one subject."""
    engine = Engine([rule(metricName="maxDrawdown")])
    reported = Performance(bot="a", portfolio_value=1.0, max_drawdown=5.0, timestamp=moment(1))
    computed = Performance(bot="a", max_drawdown=5.0, timestamp=moment(1), source="computed")
    list(engine.process([reported, computed], at(1)))
    (own,) = rule_statuses(engine._rules.values(), engine.states)  # noqa: SLF001
    assert own.subjects == 1


def test_a_metric_not_received_yet() -> None:
    """A figure that records have, but that did not come yet, is listed without a warning."""
    compared = rule(metricName="equity", comparedWith={"metricName": "portfolioValue"})
    (status,) = rule_statuses([compared], {})
    assert (status.never_seen, status.warning) == (["equity", "portfolioValue"], None)


def test_a_window_too_short_for_a_difference() -> None:
    """A difference over 5 seconds of what comes every 12 is warned about, with a window that would do."""
    short = rule(aggregate="delta", window="5s")
    engine = Engine([short])
    for second in (0, 12, 24):
        list(engine.process(records(second, second), at(second)))
    list(engine.advance_to(at(30)))
    (status,) = rule_statuses([short], engine.states)
    assert status.warning is not None
    assert status.warning.endswith("use a `window` of at least 12s")


def config(folder: Path, *names: str) -> Path:
    conditions = [{"metricName": name, "operator": ">", "threshold": 1, "severity": "LOW"} for name in names]
    document = {"alerting": {"conditions": conditions}}
    (folder / "performance_logger.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def test_rules_check_does_without_the_databases_of_another_user(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that cannot be looked at is a warning."""
    document = {"database": {"path": str(tmp_path / ("x" * 300))}}  # too long a name for the kernel
    (tmp_path / "health_monitor.json").write_text(json.dumps(document))
    assert run_check_command(tmp_path, {"BOTWATCH_HOME": str(tmp_path / "home")}) == 0
    assert "warning: cannot read saved rule states: " in capsys.readouterr().err


def test_rules_check_warns_about_a_runbook_that_does_not_exist(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else the link in the alert leads nowhere; a URL is not checked."""
    condition = {"metricName": "maxDrawdown", "operator": ">", "threshold": 1, "severity": "LOW"}
    runbooks = ("drawdown", "drawdwn", "https://wiki.example/drawdwn")
    conditions = [{**condition, "name": str(i), "runbook": name} for i, name in enumerate(runbooks)]
    (tmp_path / "performance_logger.json").write_text(json.dumps({"alerting": {"conditions": conditions}}))
    assert run_check_command(tmp_path, {"BOTWATCH_HOME": str(tmp_path / "home")}) == 0
    (line,) = [one for one in capsys.readouterr().err.splitlines() if "runbook" in one]
    assert line == (
        "botwatch rules check: warning: rule 1: no runbook `drawdwn` in docs/runbooks: the link in alerts "
        "leads nowhere; did you mean `drawdown`?"
    )


def test_rules_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`rules check` warns about a misspelt metric, exits with 0, and creates no database."""
    folder = config(tmp_path, "maxDrawdwn", "maxDrawdown")
    assert run_check_command(folder, {"BOTWATCH_HOME": str(tmp_path / "home")}) == 0
    output = capsys.readouterr()
    assert output.err.count("warning: rule maxDrawdwn-above-1: metric `maxDrawdwn` is unknown") == 1
    assert "maxDrawdown-above-1:" not in output.err
    assert "no value received" not in output.out
    assert not (tmp_path / "home").exists()


def test_rules_check_knows_what_the_evaluator_has_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With saved rule states, `rules check` warns about a window that is too short, as the API does."""
    short = {"name": "fast", "aggregate": "delta", "window": "5s", "metricName": "x"}
    condition = short | {"operator": ">", "threshold": 1, "severity": "LOW"}
    document = {"alerting": {"conditions": [condition]}}
    (tmp_path / "performance_logger.json").write_text(json.dumps(document), encoding="utf-8")
    environ = {"BOTWATCH_HOME": str(tmp_path / "home")}
    documents = load_documents(tmp_path, environ)
    engine = Engine(load_rules(documents))
    for second in (0, 12, 24):
        list(engine.process(records(second, second), at(second)))
    list(engine.advance_to(at(30)))
    database = health_database(load_settings(PartSettings, environ), documents)
    Path(database.url.removeprefix("sqlite:///")).parent.mkdir(parents=True)
    migrate(database, "health")
    with database.write() as connection:
        save_rule_states(connection, engine.snapshot(), [])
    database.close()
    assert run_check_command(tmp_path, environ) == 0
    assert "warning: rule fast: delta of x over 5s: values arrive" in capsys.readouterr().err


def test_published(
    redis: Redis, health: Database, start: Callable[..., Clocked], capsys: pytest.CaptureFixture[str]
) -> None:
    """At its start and on reload, the evaluator logs and publishes which rules may never fire."""
    evaluator = start(rule(), rule(name="wrong", metricName="maxDrawdwn"))
    assert capsys.readouterr().out.count("rule may never fire") == 2
    write(redis, 1, 5)
    evaluator.step()
    assert [warning.split(":")[0] for warning in evaluator.log_inactive_rules()] == ["rule wrong"]
    published = json.loads(redis.get(redis_keys.RULES) or "")
    assert [(one["name"], one["subjects"], one["neverSeen"]) for one in published] == [
        ("r", 1, []),
        ("wrong", 0, ["maxDrawdwn"]),
    ]
    assert health
