"""Which transport serves which channel of the config."""

from urllib.parse import urlsplit

from services.notifier.channels.apprise import AppriseTransport
from services.notifier.channels.email import EmailTransport
from services.notifier.channels.transport import Transport
from services.notifier.channels.webhook import WebhookTransport
from shared.runtime.notifications import ChannelSection

WEBHOOK = "webhook"
"""The channel that `webhookUrl` of the health monitor's document makes."""
SLACK_HOST = "hooks.slack.com"


def transport_of(name: str, channel: ChannelSection) -> Transport:
    """Return the transport of a channel: e-mail, a JSON POST for a `webhookUrl`, apprise for the rest.

    A `webhookUrl` of Slack goes through apprise too: Slack does not read our JSON.
    """
    if channel.email:
        return EmailTransport(channel.email)
    address = urlsplit(channel.url)
    if name == WEBHOOK and address.scheme in ("http", "https") and address.hostname != SLACK_HOST:
        return WebhookTransport(channel.url)
    return AppriseTransport(channel.url)
