"""The plan: whom to tell, in which order, as the config documents say."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple, Self

from services.notifier.planning.escalation import EscalationPolicy, parse_policies
from services.notifier.planning.recipients import Recipients
from services.notifier.planning.routes import Route, RoutingTree
from services.notifier.watchdog.diagnosis import BEAT_INTERVAL
from shared.runtime.config.documents import Documents
from shared.schema.durations import to_timedelta


class RoutingConfig(NamedTuple):
    """Routes, policies, and who is behind a name."""

    routing: RoutingTree
    policies: Mapping[str, EscalationPolicy]
    recipients: Recipients
    watchdog_interval: timedelta | None
    """How often the URL of the user's choice hears the watchdog's beat; None: there is none."""

    @classmethod
    def from_documents(cls, documents: Documents) -> Self:
        """Read the plan."""
        watchdog = documents.notifications.watchdog
        every = to_timedelta(watchdog.every)
        return cls(
            RoutingTree.from_documents(documents),
            parse_policies(documents.notifications),
            Recipients.from_documents(documents),
            every if watchdog.url else None,
        )

    def is_watchdog_url_due(self, last: datetime | None, now: datetime) -> bool:
        """Say whether the URL hears the beat of `now`, when the one before was that of `last`."""
        if self.watchdog_interval is None:
            return False
        # Beats are not on the dot; and a clock that was set back must not mean silence.
        return last is None or not timedelta(0) <= now - last < self.watchdog_interval - BEAT_INTERVAL / 2

    def policy_of(self, route: Route) -> EscalationPolicy | None:
        """Return the policy of a route, if it has one."""
        return self.policies[route.policy] if route.policy else None
