"""Routing: whom an alert goes to, how it is grouped and repeated. Pure; time is an argument."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple, get_args

from services.notifier.planning.time_of_day import TimeInterval
from shared.runtime.config.documents import Documents
from shared.runtime.config.notifications import (
    DEFAULT_ROUTE,
    SEED_CHANNELS,
    QuietSection,
    RepeatSection,
    RouteSection,
)
from shared.schema.alerts import Alert, Severity
from shared.schema.durations import Duration, milliseconds, to_timedelta
from shared.schema.patterns import Patterns, match_labels, parse_match
from shared.schema.silences import alert_labels

DEFAULT_GROUP_WAIT = timedelta(0)
DEFAULT_GROUP_INTERVAL = timedelta(minutes=1)
DEFAULT_REPEAT_INTERVALS: dict[Severity, timedelta] = {
    "CRITICAL": timedelta(hours=1),
    "HIGH": timedelta(hours=4),
    "MEDIUM": timedelta(hours=24),
}
"""What holds where the document says nothing."""


class QuietHours(NamedTuple):
    """Quiet hours, and which severities they hold."""

    times: TimeInterval
    severities: frozenset[Severity]

    def held_until(self, severity: Severity, at: datetime) -> datetime | None:
        """Return when the quiet hours end in which `at` lies; None when it lies in none, or it is urgent."""
        return self.times.end_of(at) if severity in self.severities else None


class Route(NamedTuple):
    """Where an alert goes; what the document leaves out is filled in."""

    name: str
    """Its own, or where it stands: `routes[0].routes[1]`."""
    notify: tuple[str, ...] = ()
    """Channels, people, rotations; none with a policy."""
    policy: str | None = None
    group_by: tuple[str, ...] | None = None
    """The labels that make a group; None: no groups."""
    group_wait: timedelta = DEFAULT_GROUP_WAIT
    group_interval: timedelta = DEFAULT_GROUP_INTERVAL
    repeat: Mapping[Severity, timedelta] = DEFAULT_REPEAT_INTERVALS
    """Missing: never."""
    quiet: QuietHours | None = None


class RoutingTree(NamedTuple):
    """The tree of routes, and the route of what none of them is for."""

    nodes: tuple["_RouteNode", ...]
    default: Route

    @classmethod
    def from_documents(cls, documents: Documents) -> "RoutingTree":
        """Read the documents."""
        switched_on = documents.channels
        seed = tuple(name for name in SEED_CHANNELS if name in switched_on)
        default = Route(DEFAULT_ROUTE, notify=seed or tuple(switched_on))
        return cls(_parse_nodes(documents.notifications.routes, "routes", Route(""), told=False), default)

    def match(self, alert: Alert, at: datetime) -> list[Route]:
        """Return the routes of `alert` at `at`: one at least, and each once.

        Fails open: what the document has no route for goes the default route.
        """
        return _match_nodes(self.nodes, matchable_labels(alert), at) or [self.default]

    def by_name(self, name: str) -> Route | None:
        """Return the route of that name, whatever it is for; None when there is none any more."""
        if name == self.default.name:
            return self.default
        return next((route for route in _all_routes(self.nodes) if route.name == name), None)


def _all_routes(nodes: Iterable["_RouteNode"]) -> Iterator[Route]:
    for node in nodes:
        if node.route:
            yield node.route
        yield from _all_routes(node.nodes)


def matchable_labels(alert: Alert) -> dict[str, str]:
    """Return the labels that routes and groups look at: those of silences, and `rule`, the rule's name."""
    return alert_labels(alert) | {"rule": alert.details.rule}


class _RouteNode(NamedTuple):
    match: Patterns
    during: TimeInterval | None
    continues: bool
    """Whether the routes after it are asked too."""
    route: Route | None
    """None: it tells nobody by itself, it only has routes in it."""
    nodes: tuple["_RouteNode", ...]

    def matches(self, labels: Mapping[str, str], at: datetime) -> bool:
        return match_labels(self.match, labels) and (
            self.during is None or self.during.end_of(at) is not None
        )


def _match_nodes(nodes: Iterable[_RouteNode], labels: Mapping[str, str], at: datetime) -> list[Route]:
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
    sections: Iterable[RouteSection], place: str, outer: Route, *, told: bool
) -> tuple[_RouteNode, ...]:
    """Read routes that stand in `outer`, which says whom to tell if `told`."""
    nodes = []
    for index, section in enumerate(sections):
        here = f"{place}[{index}]"
        route = _inherit_options(section, outer)._replace(name=section.name or here)
        tells = told or section.channels is not None or section.policy is not None
        nodes.append(
            _RouteNode(
                parse_match(section.match),
                TimeInterval.from_section(section.during) if section.during else None,
                section.continue_,
                route if tells else None,
                _parse_nodes(section.routes, f"{here}.routes", route, told=tells),
            )
        )
    return tuple(nodes)


def _inherit_options(section: RouteSection, outer: Route) -> Route:
    """Return `outer` with what the section says otherwise."""
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


def _repeat_intervals(said: Duration | RepeatSection) -> dict[Severity, timedelta]:
    severities: tuple[Severity, ...] = get_args(Severity)
    if isinstance(said, RepeatSection):
        spans = {name: getattr(said, name.lower()) for name in severities}
    else:
        spans = dict.fromkeys(severities, said)
    return {
        name: to_timedelta(span) for name, span in spans.items() if span is not None and milliseconds(span)
    }


def _quiet_hours(section: QuietSection) -> QuietHours:
    return QuietHours(TimeInterval.from_section(section), frozenset(section.severity))
