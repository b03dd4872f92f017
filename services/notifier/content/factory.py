"""Content factory: the renderer for each channel, from the config documents."""

import os
from collections.abc import Callable, Mapping
from datetime import datetime

from services.notifier.channels.base import MessageContent
from services.notifier.content.rendering import NotificationContent
from services.notifier.content.templates import Templates
from shared.runtime import clock
from shared.runtime.config.documents import Documents
from shared.runtime.config.notifications import PersonSection
from shared.runtime.settings import PartSettings
from shared.runtime.signed_links import SignedLinks, load_secret
from shared.schema.alerts import Notice
from shared.store.database import Database
from shared.store.recent_values import recent_values

ContentFactory = Callable[[str], MessageContent]
"""Returns the renderer for a channel."""


def load_contents(
    settings: PartSettings, documents: Documents, performance: Database, health: Database
) -> ContentFactory:
    """Load the templates and the secret for links. Raises InvalidError and OSError."""
    templates = Templates.load(settings.botwatch_config / "templates")
    links = SignedLinks(load_secret(settings.botwatch_home, os.environ), settings.dashboard_url)
    conditions = documents.performance.alerting.conditions

    def past(notice: Notice, now: datetime) -> list[tuple[datetime, float]]:
        return recent_values(performance, health, notice, now)

    def content(channel: str) -> MessageContent:
        reader = contact_owner(documents.notifications.people, channel)

        def acknowledge_url(notice: Notice) -> str | None:
            return links.acknowledge_url(notice, reader, clock.now())

        return NotificationContent(templates, past, acknowledge_url, conditions)

    return content


def contact_owner(people: Mapping[str, PersonSection], channel: str) -> str:
    """Return the person whose contact a channel is; "" if there is none or more than one."""
    owners = [name for name, person in people.items() if channel in person.contacts]
    return owners[0] if len(owners) == 1 else ""
