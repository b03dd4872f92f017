"""Routing config: routes, escalation policies and recipients. Pure; time is an argument."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple, Self

from services.notifier.planning.escalation import EscalationPolicy, parse_policies
from shared.runtime.config.documents import Documents
from shared.runtime.config.mute_config import parse_mute_config
from shared.runtime.config.recipients import Recipients
from shared.runtime.config.routes import Route, RoutingTree
from shared.schema.durations import to_timedelta
from shared.schema.muting import NO_MUTES, MuteConfig
from shared.schema.watchdog import BEAT_INTERVAL


class RoutingConfig(NamedTuple):
    """Routes, escalation policies, and recipients."""

    routing: RoutingTree
    policies: Mapping[str, EscalationPolicy]
    recipients: Recipients
    watchdog_interval: timedelta | None
    """How often the user's URL gets the watchdog beat; None: no URL is configured."""
    mutes: MuteConfig = NO_MUTES
    """Maintenance windows: they hold for alerts that the notifier opens, too."""

    @classmethod
    def from_documents(cls, documents: Documents) -> Self:
        """Build it from the config documents."""
        watchdog = documents.notifications.watchdog
        every = to_timedelta(watchdog.every)
        return cls(
            RoutingTree.from_documents(documents),
            parse_policies(documents.notifications),
            Recipients.from_documents(documents),
            every if watchdog.url else None,
            parse_mute_config(documents),
        )

    def is_watchdog_url_due(self, last: datetime | None, now: datetime) -> bool:
        """Return whether the beat at `now` is due at the URL, if the previous one was at `last`."""
        if self.watchdog_interval is None:
            return False
        # Beats have some jitter; and a clock that was set back must not stop the beat.
        return last is None or not timedelta(0) <= now - last < self.watchdog_interval - BEAT_INTERVAL / 2

    def policy_of(self, route: Route) -> EscalationPolicy | None:
        """Return the escalation policy of a route, None if it has none."""
        return self.policies[route.policy] if route.policy else None
