"""The plan: whom to tell, in which order, as the config documents say."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple, Self

from services.notifier.directory import Directory
from services.notifier.escalation import Policy, policies_of
from services.notifier.routing import Route, Routing
from services.notifier.watch import BEAT
from shared.runtime.documents import Documents
from shared.schema.durations import span_of


class Plan(NamedTuple):
    """Routes, policies, and who is behind a name."""

    routing: Routing
    policies: Mapping[str, Policy]
    directory: Directory
    heartbeat: timedelta | None
    """How often the URL of the user's choice hears the watchdog's beat; None: there is none."""

    @classmethod
    def of(cls, documents: Documents) -> Self:
        """Read the plan."""
        watchdog = documents.notifications.watchdog
        every = span_of(watchdog.every)
        return cls(
            Routing.of(documents),
            policies_of(documents.notifications),
            Directory.of(documents),
            every if watchdog.url else None,
        )

    def is_heartbeat_due(self, last: datetime | None, now: datetime) -> bool:
        """Say whether the URL hears the beat of `now`, when the one before was that of `last`."""
        if self.heartbeat is None:
            return False
        # Beats are not on the dot; and a clock that was set back must not mean silence.
        return last is None or not timedelta(0) <= now - last < self.heartbeat - BEAT / 2

    def policy(self, route: Route) -> Policy | None:
        """Return the policy of a route, if it has one."""
        return self.policies[route.policy] if route.policy else None
