"""Contents: what each channel's messages are written with, as the config documents say."""

import os
from collections.abc import Callable, Mapping
from datetime import datetime

from services.notifier.channels.transport import Content
from services.notifier.content.notices import NoticeContent
from services.notifier.content.templates import Templates
from shared.runtime import clock
from shared.runtime.documents import Documents
from shared.runtime.links import Links, load_secret
from shared.runtime.notifications import PersonSection
from shared.runtime.settings import Settings
from shared.schema.alerts import Notice
from shared.store.database import Database
from shared.store.trail import trail

Contents = Callable[[str], Content]
"""Returns what a channel's messages are written with."""


def contents_of(
    settings: Settings, documents: Documents, performance: Database, health: Database
) -> Contents:
    """Read templates and the secret of links; InvalidError and OSError say what is wrong with them."""
    templates = Templates.load(settings.botwatch_config / "templates")
    links = Links(load_secret(settings.botwatch_home, os.environ), settings.dashboard_url)
    conditions = documents.performance.alerting.conditions

    def past(notice: Notice, now: datetime) -> list[tuple[datetime, float]]:
        return trail(performance, health, notice, now)

    def content(channel: str) -> Content:
        reader = owner(documents.notifications.people, channel)

        def acknowledge_url(notice: Notice) -> str | None:
            return links.acknowledge_url(notice, reader, clock.now())

        return NoticeContent(templates, past, acknowledge_url, conditions)

    return content


def owner(people: Mapping[str, PersonSection], channel: str) -> str:
    """Return whose contact a channel is; "" where it is nobody's, or several people's."""
    owners = [name for name, person in people.items() if channel in person.contacts]
    return owners[0] if len(owners) == 1 else ""
