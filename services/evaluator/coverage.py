"""Coverage: which figures of the rules never came. A misspelt name makes a rule that can never fire. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from services.evaluator.rules.combination import Combination
from services.evaluator.rules.comparison import OtherFigure
from services.evaluator.rules.measure import Measure
from services.evaluator.rules.rule import Rule
from services.evaluator.rules.window import Window
from services.evaluator.subject import Key
from services.evaluator.track import Track
from shared.schema.conditions import FIGURES
from shared.schema.faults import nearest
from shared.schema.formatting import span
from shared.schema.rule_status import RuleStatus


def coverage(rules: Iterable[Rule], tracks: Mapping[Key, Track]) -> list[RuleStatus]:
    """Return how each rule stands, given what rules remember of bots and hosts."""
    by_rule: dict[str, list[Track]] = {}
    names: dict[str, set[str]] = {}
    for key, track in tracks.items():
        by_rule.setdefault(key.rule, []).append(track)
        names.setdefault(key.rule, set()).add(key.subject.name)
    return [_status(rule, by_rule.get(rule.name, []), len(names.get(rule.name, ()))) for rule in rules]


def _status(rule: Rule, tracks: list[Track], subjects: int) -> RuleStatus:
    figures = list(dict.fromkeys(rule.measure.metrics))
    seen: set[str] = set()
    for track in tracks:
        seen |= _seen(rule.measure, track.state)
        if len(seen) == len(figures):
            break
    missing = [name for name in figures if name not in seen]
    unknown = [name for name in missing if name not in FIGURES.values()]
    return RuleStatus(
        name=rule.name,
        figures=figures,
        subjects=subjects,
        never_seen=missing,
        warning="; ".join([*map(_warning, unknown), *_too_short(rule.measure, tracks)]) or None,
    )


def _seen(measure: Measure, state: Any) -> set[str]:  # noqa: ANN401 - each measure has a state of its own
    if isinstance(measure, Combination):
        parts = zip(measure.parts, state, strict=True)
        return {name for part, own in parts for name in _seen(part.measure, own)}
    if isinstance(measure, OtherFigure):
        right = {measure.other} if state.right.value is not None else set()
        return _seen(measure.left, state.left) | right
    return set(measure.metrics) if state != measure.begin() else set()


def _too_short(measure: Measure, tracks: list[Track]) -> list[str]:
    """Warn about differences over windows that are too short for how often values come."""
    if isinstance(measure, Combination):
        windows = [
            (part.measure, [track.state[i] for track in tracks]) for i, part in enumerate(measure.parts)
        ]
    elif isinstance(measure, OtherFigure):
        windows = [(measure.left, [track.state.left for track in tracks])]
    else:
        windows = [(measure, [track.state for track in tracks])]
    found = []
    for one, states in windows:
        if isinstance(one, Window):
            gaps = [state.gap for state in states if one.is_too_short(state)]
            if gaps:
                every = span(max(gaps) / 1000)
                found.append(
                    f"{one}: values come every {every}, less often than every two windows, and are not "
                    f"compared; use a `window` of at least {every}"
                )
    return found


def _warning(name: str) -> str:
    hint = nearest(name, FIGURES.values())
    return f"no kind of record has the figure `{name}`, and no bot has sent a metric of that name{hint}"
