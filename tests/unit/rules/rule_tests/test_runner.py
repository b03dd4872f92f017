"""Rule tests: the notation, expected alerts, and the tests of the shipped rules."""

import json
from pathlib import Path
from typing import Any

import pytest

from botwatch.cli import main
from services.evaluator.commands import run_rule_test
from shared.rules.loader import CHECK_RULES
from shared.rules.rule_tests.document import MAX_VALUES, RuleTest, parse_series
from shared.runtime.config.documents import load_document, load_documents
from shared.runtime.config.rules import load_rules
from shared.runtime.settings import REPOSITORY
from shared.schema.faults import InvalidError

SHIPPED = sorted((REPOSITORY / "tests" / "rules").glob("*.yml"))
LIMIT = {"name": "high", "metricName": "maxDrawdown", "operator": ">", "threshold": 20, "severity": "HIGH"}


def rehearsal(folder: Path, **further: Any) -> Path:
    """Write a rule test on one limit; YAML reads JSON."""
    document = {
        "conditions": [LIMIT],
        "interval": "1m",
        "series": [{"metric": "maxDrawdown", "bot": "a", "values": "19+1x4"}],
        "alerts": [{"at": "2m", "expect": [{"rule": "high", "bot": "a", "severity": "HIGH", "value": 21}]}],
    }
    path = folder / "test.yml"
    path.write_text(json.dumps(document | further))
    return path


@pytest.mark.parametrize(
    ("series", "values"),
    [
        ("1 -2 3.5 1e3", [1, -2, 3.5, 1000]),
        ("1x4", [1, 1, 1, 1, 1]),
        ("5+2x3", [5, 7, 9, 11]),
        ("-2+4x3", [-2, 2, 6, 10]),
        ("1-2x4", [1, -1, -3, -5, -7]),
        ("7x0", [7]),
        ("1 _ 2 _x3 3", [1, None, 2, None, None, None, 3]),
        ("", []),
    ],
)
def test_series_expand_as_promtool_expands_them(series: str, values: list[float | None]) -> None:
    assert parse_series(series) == values


@pytest.mark.parametrize("word", ["x3", "1x", "1+2", "_+1x3", "stale", "nan", "1*4", "1x-2", "--1"])
def test_an_invalid_value_is_named(word: str) -> None:
    with pytest.raises(ValueError, match="expected values such as") as caught:
        parse_series(f"1 {word}")
    assert repr(word) in str(caught.value)


def test_a_typo_does_not_exhaust_memory() -> None:
    assert len(parse_series(f"1x{MAX_VALUES - 1}")) == MAX_VALUES
    with pytest.raises(ValueError, match="at most"):
        parse_series(f"1x{MAX_VALUES - 1} 1")


def test_expected_alerts_give_no_difference(tmp_path: Path) -> None:
    assert run_rule_test(rehearsal(tmp_path), {}) == []


@pytest.mark.parametrize(
    ("expect", "got"),
    [
        ([], "expected  no other alerts\n  got       high a HIGH 21"),
        (
            [{"rule": "high", "bot": "b", "severity": "HIGH"}],
            "expected  high b HIGH\n  got       high a HIGH",
        ),
        ([{"rule": "high", "bot": "a", "severity": "LOW"}], "expected  high a LOW\n  got       high a HIGH"),
        ([{"rule": "high", "bot": "a", "severity": "HIGH", "value": 22}], "expected  high a HIGH 22\n"),
        (
            [{"rule": "high", "bot": "a", "severity": "HIGH", "labels": {"x": "1"}}],
            "expected  high a x=1 HIGH",
        ),
        (
            [{"rule": "high", "bot": "a", "severity": "HIGH"}] * 2,
            "expected  high a HIGH\n  got       no other alerts",
        ),
    ],
)
def test_a_difference_has_its_time_and_the_alerts(tmp_path: Path, expect: list[Any], got: str) -> None:
    [difference] = run_rule_test(rehearsal(tmp_path, alerts=[{"at": "2m", "expect": expect}]), {})
    assert difference.startswith("at 2m\n")
    assert got in difference


@pytest.mark.parametrize(
    ("further", "fault"),
    [
        ({"alerts": [{"at": "1m", "expect": [{"rule": "hihg", "bot": "a", "severity": "HIGH"}]}]},
         "$.alerts[0].expect[0].rule: unknown rule 'hihg'; did you mean `high`?"),
        ({"series": [{"metric": "maxDrawdown", "bot": "a", "values": "1 2y3"}]},
         "$.series[0].values: expected values such as 1, 1x4, 1+2x4, _ or _x3, got '2y3'"),
        ({"series": [{"metric": "maxDrawdown", "values": "1"}]},
         "$.series[0]: expected exactly one of `bot` and `host`"),
        ({"series": [{"metric": "maxDrawdwon", "kind": "performance", "bot": "a", "values": "1"}]},
         "did you mean `maxDrawdown`?"),
        ({"series": [{"metric": "netFlow", "bot": "a", "values": "1"}]},
         "$.series: the equity record at 0s: Object missing required field `equity`"),
        ({"rules": "none.json", "conditions": []}, "$.rules: no such file"),
        ({"rules": "none.json"}, "$: expected exactly one of `rules` and `conditions`"),
        ({"checks": [{"host": "h", "check": "c", "type": "exchange", "looks": ["fine"]}]},
         "$.checks[0].looks[0]: expected a status (ok, warning, critical, unknown)"),
        ({"checks": [{"host": "h", "check": "c", "type": "tcp", "looks": [], "figures": {"tslMs": "1"}}]},
         "$.checks[0].figures: a check record has no 'tslMs'; did you mean `tlsMs`?"),
        ({"intervall": "1m"}, "$.intervall: unknown key; did you mean `interval`?"),
        ({"interval": "0s"}, "$.interval: expected more than 0"),
    ],
)  # fmt: skip
def test_faults_of_a_rule_test_have_file_and_path(
    tmp_path: Path, further: dict[str, Any], fault: str
) -> None:
    path = rehearsal(tmp_path, **further)
    with pytest.raises(InvalidError) as caught:
        run_rule_test(path, {})
    [found] = map(str, caught.value.faults)
    assert found.startswith(f"{path}: $")
    assert fault in found


def test_a_metric_and_a_kind_of_record_have_series_too(tmp_path: Path) -> None:
    rules = [
        {"name": "funding", "metricName": "fundingRate", "operator": ">", "threshold": 1, "severity": "LOW"},
        {"name": "quiet", "kind": "absence", "metricName": "fill", "period": "2m", "severity": "LOW"},
    ]
    series = [
        {"metric": "fundingRate", "bot": "a", "labels": {"venue": "x"}, "values": "0 2"},
        {"metric": "fill", "bot": "a", "values": "1"},
    ]
    funding = {"rule": "funding", "bot": "a", "severity": "LOW", "labels": {"venue": "x"}}
    quiet = {"rule": "quiet", "bot": "a", "severity": "LOW"}
    moments = [{"at": "2m", "expect": [funding]}, {"at": "3m", "expect": [funding, quiet]}]
    assert run_rule_test(rehearsal(tmp_path, conditions=rules, series=series, alerts=moments), {}) == []


def test_metrics_of_one_record_are_evaluated_together(tmp_path: Path) -> None:
    condition = {
        "name": "apart", "metricName": "var95", "comparedWith": {"metricName": "var99"},
        "operator": ">", "threshold": 0, "severity": "LOW", "keepFiringFor": "1h",
    }  # fmt: skip
    series = [
        {"metric": "var95", "bot": "a", "values": "1 10"},
        {"metric": "var99", "bot": "a", "values": "2 20"},
    ]
    moments = [{"at": "1m", "expect": []}]
    assert run_rule_test(rehearsal(tmp_path, conditions=[condition], series=series, alerts=moments), {}) == []


CHECK = {"host": "h", "check": "binance", "type": "exchange"}
REFUSED = "critical the REST interface refuses connections"


def test_a_check_is_run_result_by_result_and_its_alert_has_its_text(tmp_path: Path) -> None:
    looks = ["ok", "warning the clock is 3 s ahead", REFUSED, "critical it timed out", "unknown", "_", "ok"]
    alert = {"rule": "exchange-unreachable", "host": "h", "labels": {"check": "binance", "type": "exchange"}}
    skewed = {**alert, "severity": "MEDIUM", "message": "binance: the clock is 3 s ahead"}
    refused = {**alert, "severity": "CRITICAL", "message": "binance: the REST interface refuses connections"}
    silent = {**alert, "severity": "CRITICAL", "message": "binance: it timed out"}
    moments = [
        {"at": f"{minute}m", "expect": [open_one] if open_one else []}
        for minute, open_one in enumerate([None, skewed, refused, silent, silent, silent, None])
    ]
    path = rehearsal(tmp_path, series=[], checks=[{**CHECK, "looks": looks}], alerts=moments)
    assert run_rule_test(path, {}) == []
    wrong = [{"at": "2m", "expect": [silent]}]
    [difference] = run_rule_test(
        rehearsal(tmp_path, checks=[{**CHECK, "looks": looks}], series=[], alerts=wrong), {}
    )
    assert "CRITICAL: binance: it timed out\n" in difference
    assert "CRITICAL 2: binance: the REST interface refuses connections" in difference


def test_a_check_result_may_have_metrics_that_rules_use(tmp_path: Path) -> None:
    own = {
        "name": "certificate-expiring", "metricName": "certificateDays",
        "operator": "<", "threshold": 10, "severity": "LOW",
    }  # fmt: skip
    checks = [{
        "host": "h", "check": "tls", "type": "certificate", "looks": ["ok", "ok", "ok"],
        "figures": {"certificateDays": "11 _ 9"},
    }]  # fmt: skip
    moments = [
        {"at": "1m", "expect": []},
        {
            "at": "2m",
            "expect": [{"rule": "certificate-expiring", "host": "h", "severity": "LOW", "value": 9}],
        },
    ]
    assert (
        run_rule_test(rehearsal(tmp_path, conditions=[own], series=[], checks=checks, alerts=moments), {})
        == []
    )


def test_the_command_prints_the_result_and_exits_accordingly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = rehearsal(tmp_path)
    assert main(["rules", "test", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: passed\n"
    rehearsal(tmp_path, alerts=[{"at": "2m", "expect": []}])
    assert main(["rules", "test", str(path)]) == 1
    assert f"{path}: at 2m\n" in capsys.readouterr().out
    assert main(["rules", "test", str(path), "--json"]) == 1
    (result,) = json.loads(capsys.readouterr().out)
    assert (result["file"], result["passed"]) == (str(path), False)
    assert result["failures"][0].startswith("at 2m")
    assert main(["rules", "test", str(tmp_path / "none.yml")]) == 1
    assert f"{tmp_path}/none.yml: no such file" in capsys.readouterr().err


def test_the_check_command_describes_every_rule_and_reports_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = {"alerting": {"conditions": [LIMIT | {"clearThreshold": 18, "for": "2m", "bots": ["x-*"]}]}}
    path = tmp_path / "performance_logger.json"
    path.write_text(json.dumps(document))
    assert main(["rules", "check", str(tmp_path), "--json"]) == 0
    (high, *_) = json.loads(capsys.readouterr().out)
    assert (high["name"], high["figures"]) == ("high", ["maxDrawdown"])
    assert main(["rules", "check", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "high\n"
        "  maxDrawdown: HIGH if > 20 (clear threshold 18)\n"
        "  PERFORMANCE, for 2m, bots x-*\n"
        "  Drawdown max > {limitText}\n"
        "process-down\n"
        "  checkState: CRITICAL if >= 2, MEDIUM if >= 1\n"
        "  RESOURCE, labels type=process, runbook process-down\n"
        "  {check}: {text}\n"
    )
    assert out.endswith(f"\n{2 + len(CHECK_RULES)} rules\n")
    path.write_text(json.dumps({"alerting": {"conditions": [LIMIT | {"clearTreshold": 18}]}}))
    assert main(["rules", "check", str(tmp_path)]) == 1
    assert f"{path}: $.alerting.conditions[0].clearTreshold: unknown key" in capsys.readouterr().err


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_shipped_rules_do_what_their_tests_say(path: Path) -> None:
    assert run_rule_test(path, {}) == []


def test_every_shipped_rule_is_seen_to_fire_and_not_to_fire() -> None:
    names = {rule.name for rule in load_rules(load_documents(REPOSITORY / "deploy" / "config", {}))}
    moments = [load_document(path, RuleTest, {}).alerts for path in SHIPPED]
    fires, rests = set[str](), set[str]()
    for every in moments:
        named = [{one.rule for one in moment.expect} for moment in every]
        fires |= set.union(*named)
        rests |= set.union(*named) - named[0].intersection(*named)
    assert (names - fires, names - rests) == (set(), set())
