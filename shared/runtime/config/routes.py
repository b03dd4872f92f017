"""Routes: where an alert goes, how it is grouped and repeated, and by which policy it escalates.

The notifier follows them; the Alertmanager API shows them. Pure; time is an argument.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple, get_args

import msgspec

from shared.runtime.config.documents import Documents
from shared.runtime.config.notifications import (
    DEFAULT_ROUTE,
    SEED_CHANNELS,
    QuietSection,
    RepeatSection,
    RouteSection,
)
from shared.runtime.config.time_of_day import TimeInterval
from shared.schema.alerts import Alert, Severity
from shared.schema.durations import Duration, milliseconds, to_timedelta
from shared.schema.patterns import Patterns, match_labels, parse_match
from shared.schema.silences import config_labels

DEFAULT_GROUP_WAIT = timedelta(0)
DEFAULT_GROUP_INTERVAL = timedelta(minutes=1)
DEFAULT_REPEAT_INTERVALS: dict[Severity, timedelta] = {
    "CRITICAL": timedelta(hours=1),
    "HIGH": timedelta(hours=4),
    "MEDIUM": timedelta(hours=24),
}
"""Repeat intervals by severity if the document sets none."""


class QuietHours(NamedTuple):
    """Quiet hours, and the severities that they hold."""

    times: TimeInterval
    severities: frozenset[Severity]

    def held_until(self, severity: Severity, at: datetime) -> datetime | None:
        """Return the end of the quiet hours at `at`; None outside of them, or if the severity is not held."""
        return self.times.end_of(at) if severity in self.severities else None


class Route(NamedTuple):
    """Where an alert goes, with inherited and default options filled in."""

    name: str
    """Configured, else the path: `routes[0].routes[1]`."""
    notify: tuple[str, ...] = ()
    """Channels, people, rotations; empty with a policy."""
    policy: str | None = None
    group_by: tuple[str, ...] | None = None
    """Labels to group by; None: no grouping."""
    group_wait: timedelta = DEFAULT_GROUP_WAIT
    group_interval: timedelta = DEFAULT_GROUP_INTERVAL
    repeat: Mapping[Severity, timedelta] = DEFAULT_REPEAT_INTERVALS
    """Severities that are missing never repeat."""
    quiet: QuietHours | None = None


class RoutingTree(NamedTuple):
    """The tree of routes, and the default route."""

    nodes: tuple["RouteNode", ...]
    default: Route

    @classmethod
    def from_documents(cls, documents: Documents) -> "RoutingTree":
        """Build it from the config documents."""
        enabled = documents.channels
        seed = tuple(name for name in SEED_CHANNELS if name in enabled)
        default = Route(DEFAULT_ROUTE, notify=seed or tuple(enabled))
        return cls(
            _parse_nodes(documents.notifications.routes, "routes", Route(""), has_target=False), default
        )

    def match(self, alert: Alert, at: datetime) -> list[Route]:
        """Return the routes of `alert` at `at`, at least one: the default route if none matches."""
        return _match_nodes(self.nodes, matchable_labels(alert), at) or [self.default]

    def by_name(self, name: str) -> Route | None:
        """Return the route with that name; None if there is none (any more)."""
        if name == self.default.name:
            return self.default
        return next((route for route in self.all_routes() if route.name == name), None)

    def all_routes(self) -> Iterator[Route]:
        """Yield the routes that an alert can take besides the default one, in the order of the document."""
        return _all_routes(self.nodes)


def _all_routes(nodes: Iterable["RouteNode"]) -> Iterator[Route]:
    for node in nodes:
        if node.route:
            yield node.route
        yield from _all_routes(node.nodes)


def matchable_labels(alert: Alert) -> dict[str, str]:
    """Return the labels for routes and groups: those for configuration, and `rule`, the name of the rule."""
    return config_labels(alert) | {"rule": alert.details.rule}


class RouteNode(NamedTuple):
    """A route with its matchers, and the routes in it."""

    match: Patterns
    during: TimeInterval | None
    continues: bool
    """Whether to try the following routes as well."""
    route: Route | None
    """None: it only contains other routes."""
    nodes: tuple["RouteNode", ...]

    def matches(self, labels: Mapping[str, str], at: datetime) -> bool:
        """Return whether an alert with `labels` takes the route at `at`."""
        return match_labels(self.match, labels) and (
            self.during is None or self.during.end_of(at) is not None
        )


def _match_nodes(nodes: Iterable[RouteNode], labels: Mapping[str, str], at: datetime) -> list[Route]:
    found: list[Route] = []
    for node in nodes:
        if node.matches(labels, at):
            own = [node.route] if node.route else []
            routes = _match_nodes(node.nodes, labels, at) or own
            found += routes
            if routes and not node.continues:
                break
    return found


def _parse_nodes(
    sections: Iterable[RouteSection], path: str, outer: Route, *, has_target: bool
) -> tuple[RouteNode, ...]:
    """Parse the routes nested in `outer`; `has_target`: they inherit channels or a policy from it."""
    nodes = []
    for index, section in enumerate(sections):
        own_path = f"{path}[{index}]"
        route = _inherit_options(section, outer)._replace(name=section.name or own_path)
        targeted = has_target or section.channels is not None or section.policy is not None
        nodes.append(
            RouteNode(
                parse_match(section.match),
                TimeInterval.from_section(section.during) if section.during else None,
                section.continue_,
                route if targeted else None,
                _parse_nodes(section.routes, f"{own_path}.routes", route, has_target=targeted),
            )
        )
    return tuple(nodes)


def _inherit_options(section: RouteSection, outer: Route) -> Route:
    """Return `outer` with the options of the section."""
    route = outer
    if section.channels is not None or section.policy is not None:
        route = route._replace(notify=tuple(section.channels or ()), policy=section.policy)
    if section.group_by is not None:
        route = route._replace(group_by=tuple(section.group_by))
    if section.group_wait is not None:
        route = route._replace(group_wait=to_timedelta(section.group_wait))
    if section.group_interval is not None:
        route = route._replace(group_interval=to_timedelta(section.group_interval))
    if section.repeat is not None:
        route = route._replace(repeat=_repeat_intervals(section.repeat))
    if section.quiet is not None:
        route = route._replace(quiet=_quiet_hours(section.quiet))
    return route


def _repeat_intervals(section: Duration | RepeatSection) -> dict[Severity, timedelta]:
    severities: tuple[Severity, ...] = get_args(Severity)
    if isinstance(section, RepeatSection):
        intervals = {name: getattr(section, name.lower()) for name in severities}
    else:
        intervals = dict.fromkeys(severities, section)
    return {
        name: to_timedelta(interval)
        for name, interval in intervals.items()
        if interval is not None and milliseconds(interval)
    }


def _quiet_hours(section: QuietSection) -> QuietHours:
    return QuietHours(TimeInterval.from_section(section), frozenset(section.severity))


def group_key(route: Route, alert: Alert) -> str | None:
    """Return the group of `alert`, such as `night/{rule="slippage"}`; None: the route does not group.

    A missing label has the value "". With an empty `groupBy` the whole route is one group.
    """
    if route.group_by is None:
        return None
    labels = matchable_labels(alert)
    parts = (f"{_name(name)}={_quoted(labels.get(name, ''))}" for name in sorted({*route.group_by}))
    return f"{route.name}/{{{','.join(parts)}}}"


def _name(label: str) -> str:
    return label if label.isidentifier() else _quoted(label)


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def next_message_at(previous: datetime | None, route: Route, now: datetime) -> datetime:
    """Return when the message with an alert that is new at `now` is due.

    `previous` is the due time of the group's latest message; a pending message includes the new alert.
    """
    if previous is None:
        return now + route.group_wait
    if previous > now:
        return previous
    return max(now + route.group_wait, previous + route.group_interval)
