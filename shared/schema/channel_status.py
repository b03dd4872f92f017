"""Status of each channel, without its secrets. From: notifier. To: dashboard."""

from datetime import datetime
from typing import Literal

import msgspec

CHANNEL_RULE = "notification-channel"
"""The rule of the alert that the notifier opens about a channel that fails."""
CHANNEL_LABEL = "channel"
"""The label with its name."""

ChannelActivity = Literal["idle", "sending", "paused", "rate-limited"]
"""`paused`: the last attempt failed, and the next one waits; `rate-limited`: the rest goes as a digest."""


class ChannelStatus(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """What the notifier knows of one channel that it serves."""

    name: str
    type: str
    """The kind: apprise, webhook, alertmanager, slack, email."""
    destination: str
    """Where it sends to: a host, mailboxes, or a service."""
    activity: ChannelActivity
    paused_until: datetime | None = None
    """When it sends again, if it is paused or rate-limited."""
    failing_since: datetime | None = None
    """Since when every attempt has failed; None after a success."""
    error: str = ""
    """Text of the latest failure, while it is failing."""
    per_minute: int | None = None
    """Limit of messages per minute; None: no limit."""


class ChannelStatuses(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """Every enabled channel, as of `at`."""

    at: datetime
    channels: list[ChannelStatus]
