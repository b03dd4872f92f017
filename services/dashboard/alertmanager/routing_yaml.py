"""Routing as YAML of Alertmanager, for `amtool config routes` and tools that show it. Pure.

A receiver is a route of Botwatch, because a route may have several channels. What Alertmanager does not have
is left out: times of day, escalation policies, repeat intervals by severity, maintenance windows.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import yaml

from shared.runtime.config.documents import Documents
from shared.runtime.config.mute_config import parse_mute_config
from shared.runtime.config.routes import Route, RouteNode, RoutingTree
from shared.schema.external_alerts import SEVERITY_WORDS
from shared.schema.muting import Inhibition
from shared.schema.patterns import Patterns
from shared.schema.silences import Matcher

NEVER = timedelta(days=365)
SHORTEST = timedelta(seconds=1)
_HEAD = "# Made by Botwatch from notifications.yml, which is what counts. A receiver is a route.\n"
_LITERAL = re.compile(r"[\\.+()|{}\[\]^$]")
_SPECIAL = re.compile(r"[*?\[]")


def routing_yaml(documents: Documents) -> str:
    """Return routes, receivers and inhibitions as a configuration of Alertmanager."""
    routing = RoutingTree.from_documents(documents)
    root = {"receiver": routing.default.name, **_options(routing.default)}
    if children := [*_routes(routing.nodes, ())]:
        root["routes"] = children
    config: dict[str, Any] = {"global": {"resolve_timeout": "5m"}, "route": root}
    if rules := [*map(_inhibit_rule, parse_mute_config(documents).inhibitions)]:
        config["inhibit_rules"] = rules
    config["receivers"] = [{"name": name} for name in receiver_names(routing)]
    return _HEAD + yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=10_000)


def receiver_names(routing: RoutingTree) -> list[str]:
    """Return the names of the routes that alerts can take, the default route first."""
    return [routing.default.name, *(route.name for route in routing.all_routes())]


def _routes(nodes: Sequence[RouteNode], outer: Patterns) -> Iterator[dict[str, Any]]:
    """Yield the routes; one that only contains others stands for its matchers in each of them."""
    for node in nodes:
        match = (*outer, *node.match)
        if node.route is None:
            yield from _routes(node.nodes, match)
            continue
        route: dict[str, Any] = {"receiver": node.route.name}
        if match:
            route["matchers"] = [*_matchers(match)]
        if node.continues:
            route["continue"] = True
        route |= _options(node.route)
        if children := [*_routes(node.nodes, ())]:
            route["routes"] = children
        yield route


def _options(route: Route) -> dict[str, Any]:
    labels = ["alertname" if name == "rule" else name for name in route.group_by or ()]
    return {
        # Alertmanager's word for: each alert by itself.
        "group_by": ["..."] if route.group_by is None else labels,
        "group_wait": _duration(route.group_wait),
        "group_interval": _duration(max(route.group_interval, SHORTEST)),
        "repeat_interval": _duration(min(route.repeat.values(), default=NEVER)),
    }


def _inhibit_rule(inhibition: Inhibition) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "source_matchers": [*_matchers(inhibition.source)],
        "target_matchers": [*_matchers(inhibition.target)],
    }
    return rule | ({"equal": list(inhibition.equal)} if inhibition.equal else {})


def _matchers(match: Patterns) -> Iterator[str]:
    for name, patterns in match:
        label = "alertname" if name == "rule" else name
        values = [*_with_severity_words(patterns)] if label == "severity" else [*patterns]
        is_exact = len(values) == 1 and not _SPECIAL.search(values[0])
        value = values[0] if is_exact else "|".join(map(_regex, values))
        yield str(Matcher(label, value, is_regex=not is_exact))


def _with_severity_words(patterns: Iterable[str]) -> Iterator[str]:
    """Yield severities of Botwatch, and the words of others that stand for them."""
    for pattern in patterns:
        yield pattern
        for severity, words in SEVERITY_WORDS.items():
            yield from words if severity == pattern else ()


def _regex(glob: str) -> str:
    """Return a glob as a regular expression of RE2."""
    text, rest = "", glob
    while rest:
        if found := re.match(r"\[(!?)(\]?[^\]]*)\]", rest):
            negated, letters = found.groups()
            escaped = re.sub(r"([\\[])", r"\\\1", letters)
            text += f"[{'^' if negated else ''}{escaped}]"
            rest = rest[found.end() :]
            continue
        text += {"*": ".*", "?": "."}.get(rest[0]) or _LITERAL.sub(r"\\\g<0>", rest[0])
        rest = rest[1:]
    return text


def _duration(span: timedelta) -> str:
    """Return a duration as Prometheus writes it: `1m30s`, `500ms`."""
    rest = round(span.total_seconds() * 1000)
    parts = []
    for name, length in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)):
        count, rest = divmod(rest, length)
        parts += [f"{count}{name}"] if count else []
    return "".join(parts) or "0s"
