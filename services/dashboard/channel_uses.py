"""Which routes use a channel, and through what: a policy, a rotation, a person, or as a fallback. Pure."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from shared.runtime.config.notifications import DEFAULT_ROUTE, SEED_CHANNELS, Notifications, RouteSection


class RouteTarget(NamedTuple):
    """A route, and whom it notifies; what it inherits is filled in."""

    name: str
    """Configured, else its path."""
    path: str
    """Its place in the document, such as `routes[0].routes[1]`; empty for the default route."""
    notify: tuple[str, ...] = ()
    """Channels, people, rotations; empty with a policy."""
    policy: str | None = None


class ChannelUse(NamedTuple):
    """A route that uses a channel."""

    route: RouteTarget
    via: tuple[str, ...]
    """What leads from the route to the channel, such as `policy page`, `rotation week`, `ann`."""


def route_targets(document: Notifications, enabled: Iterable[str]) -> list[RouteTarget]:
    """Return the routes that notify somebody, in order, then the default route, for all other alerts."""
    names = tuple(enabled)
    seed = tuple(name for name in SEED_CHANNELS if name in names)
    default = RouteTarget(DEFAULT_ROUTE, "", seed or names)
    return [*_targets(document.routes, "routes", RouteTarget("", "")), default]


def _targets(sections: Iterable[RouteSection], path: str, outer: RouteTarget) -> Iterator[RouteTarget]:
    for index, section in enumerate(sections):
        own_path = f"{path}[{index}]"
        route = outer._replace(name=section.name or own_path, path=own_path)
        if section.channels is not None or section.policy is not None:
            route = route._replace(notify=tuple(section.channels or ()), policy=section.policy)
        if route.notify or route.policy:
            yield route
        yield from _targets(section.routes, f"{own_path}.routes", route)


def channel_uses(document: Notifications, enabled: Iterable[str]) -> dict[str, list[ChannelUse]]:
    """Return the uses of each channel by its name, one for each route."""
    found: dict[str, list[ChannelUse]] = {}
    for route in route_targets(document, enabled):
        reached: dict[str, tuple[str, ...]] = {}
        for channel, via in _reached(document, route):
            reached.setdefault(channel, via)
        for channel, via in reached.items():
            found.setdefault(channel, []).append(ChannelUse(route, via))
    return found


def _reached(document: Notifications, route: RouteTarget) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each channel that a route may notify, and what leads there."""
    policy = document.policies[route.policy] if route.policy else None
    names = [name for step in policy.steps for name in step.notify] if policy else route.notify
    start = (f"policy {route.policy}",) if policy else ()
    for name in names:
        for channel, via in _contacts(document, name, start):
            yield channel, via
            yield from _fallbacks(document, channel, via)


def _contacts(
    document: Notifications, name: str, via: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    if name in document.rotations:
        for person in document.rotations[name].people:
            yield from _contacts(document, person, (*via, f"rotation {name}"))
    elif name in document.people:
        yield from ((channel, (*via, name)) for channel in document.people[name].contacts)
    else:
        yield name, via


def _fallbacks(
    document: Notifications, channel: str, via: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    section = document.channels.get(channel)
    while section is not None and section.fallback is not None:
        via = (*via, f"fallback of {channel}")
        channel = section.fallback
        yield channel, via
        section = document.channels.get(channel)
