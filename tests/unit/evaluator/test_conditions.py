# ruff: noqa: E501 - messages stand as they are printed
"""Wrong rules are refused through the file that they stand in: path, what was expected, the nearest word."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.runtime.config.documents import PerformanceLogger, load_document
from shared.schema.conditions import Condition
from shared.schema.faults import InvalidError

PLAIN: dict[str, Any] = {"metricName": "maxDrawdown", "operator": ">", "threshold": 20, "severity": "MEDIUM"}
ABSENCE: dict[str, Any] = {"kind": "absence", "metricName": "fill", "period": "30s", "severity": "MEDIUM"}
PART: dict[str, Any] = {"metricName": "leverage", "operator": ">", "threshold": 3}
COMBINATION: dict[str, Any] = {"kind": "combination", "conditions": [PART], "severity": "HIGH"}
WINDOW: dict[str, Any] = {"aggregate": "avg", "window": "5m"}


def load(path: Path, *conditions: Any) -> list[Condition]:
    file = path / "performance_logger.json"
    file.write_text(json.dumps({"alerting": {"conditions": conditions}}))
    return load_document(file, PerformanceLogger, {}).alerting.conditions


def refusal(path: Path, *conditions: Any) -> str:
    with pytest.raises(InvalidError) as raised:
        load(path, *conditions)
    return str(raised.value).removeprefix(f"{path}/performance_logger.json: $.alerting.conditions")


@pytest.mark.parametrize(
    "condition",
    [
        PLAIN, ABSENCE, COMBINATION,
        {**PLAIN, **WINDOW, "clearThreshold": 15, "for": "2m", "keepFiringFor": 60,
         "levels": [{"threshold": 40, "severity": "CRITICAL", "clearThreshold": 35},
                    {"threshold": 10, "severity": "LOW"}]},
        {**PLAIN, "description": "{bot} {value} {threshold} {metric} {venue}", "labels": {"venue": "*"}},
        {**PLAIN, **WINDOW, "description": "over {window}"},
        {**ABSENCE, "description": "none for {value} s, {window}", "levels": [{"threshold": 60, "severity": "HIGH"}]},
        {**PLAIN, "times": 3, "of": 5},
        {**PLAIN, **WINDOW, "comparedWith": {"metricName": "currentDrawdown", "as": "share"}},
        {**PLAIN, "window": "5m", "comparedWith": {"offset": "1d", "as": "percent"}},
        {**PLAIN, "window": "5m", "comparedWith": {"baseline": "50m"}},
        {**PLAIN, "metricName": "funding rate", "runbook": "https://wiki/x"},
        {**PLAIN, "runbook": "slippage"},
        {**PLAIN, "operator": "<", "clearThreshold": 25, "levels": [{"threshold": 5, "severity": "CRITICAL"}]},
    ],
)  # fmt: skip
def test_what_the_documents_say_about_rules_is_taken(tmp_path: Path, condition: Any) -> None:
    assert len(load(tmp_path, condition)) == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"operator": "=>"}, "[0].operator: expected one of != < <= == > >=, got '=>'"),
        ({"severity": "HIHG"}, "[0].severity: expected one of CRITICAL HIGH LOW MEDIUM, got 'HIHG'; did you mean `HIGH`?"),
        ({"kind": "absense"}, "[0].kind: expected one of absence combination threshold, got 'absense'; did you mean `absence`?"),
        ({"category": "PERF"}, "[0].category: expected one of CONNECTIVITY PERFORMANCE RESOURCE SECURITY, got 'PERF'"),
        ({"agregate": "avg"}, "[0].agregate: unknown key; did you mean `aggregate`?"),
        ({"metricName": "maxDrawDown"}, "[0].metricName: unknown metric 'maxDrawDown'; did you mean `maxDrawdown`?"),
        ({"threshold": "20"}, "[0].threshold: expected a number or null, got text"),
        ({"threshold": None}, "[0].threshold: a threshold needs it"),
        ({"operator": None}, "[0].operator: a threshold needs it"),
        ({"name": "two words"}, "[0].name: expected a name of letters, digits and _ . : - (at most 128), such as slippage-high"),
        ({"for": "5 minutes"}, "[0].for: expected a duration such as 30s, 5m or 1h, or a number of seconds"),
        ({"keepFiringFor": -1}, "[0].keepFiringFor: expected a number >= 0.0, got -1"),
        ({"aggregate": "mean", "window": "5m"},
         "[0].aggregate: expected one of avg change count delta last max min quantile rate sum, got 'mean'"),
        ({"aggregate": "avg"}, "[0]: `aggregate` and `window` go together"),
        ({"window": "5m"}, "[0]: `aggregate` and `window` go together"),
        ({"aggregate": "avg", "window": 0}, "[0]: `aggregate` and `window` go together"),
        ({**WINDOW, "quantile": 0.5}, '[0]: `quantile` and `"aggregate": "quantile"` go together'),
        ({**WINDOW, "aggregate": "quantile"}, '[0]: `quantile` and `"aggregate": "quantile"` go together'),
        ({**WINDOW, "aggregate": "quantile", "quantile": 95}, "[0].quantile: expected a number <= 1.0, got 95"),
        ({"times": 3}, "[0]: `times` and `of` go together"),
        ({"times": 3, "of": 2}, "[0].times: expected at most `of` (2), got 3"),
        ({"times": 0, "of": 2}, "[0].times: expected a whole number >= 1, got 0"),
        ({"times": 1, "of": 2, "operator": "=="}, "[0].times: expected the operator >, >=, < or <="),
        ({"times": 1, "of": 2, **WINDOW}, "[0].times: cannot be combined with `aggregate` or `comparedWith`"),
        ({"comparedWith": {"offset": "1d"}}, "[0].window: required with `comparedWith`"),
        ({"comparedWith": {"offset": "1m"}, "window": "5m"}, "[0].comparedWith: expected an `offset` of at least `window`"),
        ({"comparedWith": {"baseline": "49m"}, "window": "5m"},
         "[0].comparedWith: expected a `baseline` of at least 10 times `window`"),
        ({"comparedWith": {"offset": "1d"}, **WINDOW}, "[0].aggregate: cannot be combined with `comparedWith`"),
        ({"comparedWith": {}}, "[0].comparedWith: expected exactly one of `metricName`, `offset` and `baseline`"),
        ({"comparedWith": {"metricName": "x", "as": "percents"}},
         "[0].comparedWith.as: expected one of difference percent ratio share, got 'percents'; did you mean `percent`?"),
        ({"clearThreshold": 21}, "[0].clearThreshold: expected at most the threshold (20), got 21"),
        ({"operator": "<", "clearThreshold": 19}, "[0].clearThreshold: expected at least the threshold (20), got 19"),
        ({"operator": "==", "clearThreshold": 20}, "[0].clearThreshold: expected the operator >, >=, < or <="),
        ({"operator": "!=", "levels": [{"threshold": 1, "severity": "LOW"}]},
         "[0].levels: expected the operator >, >=, < or <="),
        ({"levels": [{"threshold": 30, "severity": "MEDIUM"}]},
         "[0].levels: expected each severity at most once, the rule's own included"),
        ({"levels": [{"threshold": 10, "severity": "HIGH"}]},
         "[0].levels: expected a higher severity at a worse threshold, got HIGH at 10 and MEDIUM at 20"),
        ({"levels": [{"threshold": 30, "severity": "LOW"}]},
         "[0].levels: expected a higher severity at a worse threshold, got LOW at 30 and MEDIUM at 20"),
        ({"levels": [{"treshold": 30, "severity": "HIGH"}]},
         "[0].levels[0].treshold: unknown key; did you mean `threshold`?"),
        ({"period": "5m"}, '[0].period: only with `"kind": "absence"`'),
        ({"conditions": [PART]}, '[0].conditions: only with `"kind": "combination"`'),
        ({"match": "any"}, '[0].match: only with `"kind": "combination"`'),
        ({"bots": "a*"}, "[0].bots: expected an array, got text"),
        ({"bots": [""]}, "[0].bots[0]: expected text of length >= 1"),
        ({"labels": {"a venue": "x"}}, "[0].labels: expected text matching regex"),
        ({"enabled": "yes"}, "[0].enabled: expected true or false, got text"),
        ({"runbook": "../secret"},
         "[0].runbook: expected the name of a page of docs/runbooks, such as slippage, or a URL (https://…)"),
        ({"runbook": "javascript://x"}, "[0].runbook: expected the name of a page"),
        ({"description": "{valu} of {bot}"},
         "[0].description: unknown placeholder {valu}, expected one of {value} {threshold} {valueText} {limitText} {metric} {bot} {host} {check} {type} {text}; did you mean `value`?"),
        ({"description": "{value:.2f}"}, "[0].description: unknown placeholder {value:.2f}"),
        ({"description": "over {window}"}, "[0].description: unknown placeholder {window}"),
        ({"description": "at {venue}"}, "[0].description: unknown placeholder {venue}"),
    ],
)  # fmt: skip
def test_a_wrong_threshold_is_refused_with_path_and_expectation(
    tmp_path: Path, change: Any, told: str
) -> None:
    assert told in refusal(tmp_path, {**PLAIN, **change})


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ({**ABSENCE, "period": None}, "[0].period: an absence needs it"),
        ({**ABSENCE, "period": 0}, "[0].period: expected more than 0"),
        ({**ABSENCE, "threshold": 20}, '[0].threshold: only with `"kind": "threshold"`'),
        ({**ABSENCE, "clearThreshold": 20}, '[0].clearThreshold: only with `"kind": "threshold"`'),
        ({**ABSENCE, **WINDOW}, '[0].aggregate: only with `"kind": "threshold"`'),
        ({**ABSENCE, "levels": [{"threshold": 30, "severity": "HIGH"}]},
         "[0].levels: expected a higher severity at a worse threshold, got HIGH at 30 and MEDIUM at 30"),
        ({**ABSENCE, "levels": [{"threshold": 60, "severity": "HIGH", "clearThreshold": 50}]},
         "[0].levels: `clearThreshold` does not apply to an absence"),
        ({**COMBINATION, "conditions": []}, "[0].conditions: expected at least one"),
        ({**COMBINATION, "metricName": "x"}, '[0].metricName: only with `"kind": "threshold"` or `"kind": "absence"`'),
        ({**COMBINATION, "levels": [{"threshold": 60, "severity": "LOW"}]}, "[0].levels: only with"),
        ({**COMBINATION, "match": "al"}, "[0].match: expected one of all any none, got 'al'; did you mean `all`?"),
        ({**COMBINATION, "conditions": [{**PART, "operator": "above"}]}, "[0].conditions[0].operator: expected one of"),
        ({**COMBINATION, "conditions": [PART, {**PART, "metricName": "Leverage"}]},
         "[0].conditions[1].metricName: unknown metric 'Leverage'; did you mean `leverage`?"),
        ({**COMBINATION, "conditions": [{**PART, "aggregate": "avg"}]},
         "[0].conditions[0]: `aggregate` and `window` go together"),
        ({"severity": "LOW"}, "[0]: `metricName`, `operator`, `threshold`: a threshold needs it"),
        ({key: PLAIN[key] for key in ("metricName", "operator", "threshold")}, "[0].severity: required, but missing"),
        ("maxDrawdown > 20", "[0]: expected an object, got string"),
    ],
)  # fmt: skip
def test_a_wrong_absence_or_combination_is_refused_too(tmp_path: Path, condition: Any, told: str) -> None:
    assert told in refusal(tmp_path, condition)


def test_every_wrong_rule_of_a_file_is_named_at_once(tmp_path: Path) -> None:
    told = refusal(tmp_path, PLAIN, {**PLAIN, "severity": "X"}, {**PLAIN, "for": "x"})
    assert "[1].severity" in told
    assert "[2].for" in told


def test_two_rules_cannot_share_a_name_unless_one_is_switched_off(tmp_path: Path) -> None:
    one = {**PLAIN, "name": "deep"}
    told = refusal(tmp_path, one, {**ABSENCE, "name": "deep"})
    assert told == ": expected different names, got 'deep' 2 times"
    assert len(load(tmp_path, one, {**one, "enabled": False})) == 2
