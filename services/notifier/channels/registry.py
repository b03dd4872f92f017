"""Which transport serves which channel of the config."""

from urllib.parse import urlsplit

from services.notifier.channels.apprise import AppriseTransport, service_of
from services.notifier.channels.email import EmailTransport
from services.notifier.channels.transport import Content, Transport
from services.notifier.channels.webhook import WebhookTransport
from shared.runtime.notifications import ChannelSection


def transport_of(name: str, channel: ChannelSection, content: Content) -> Transport:  # noqa: ARG001 - next
    """Return the transport of a channel."""
    if channel.email:
        return EmailTransport(channel.email, content)
    is_http = urlsplit(channel.url).scheme in ("http", "https")
    if channel.type == "webhook":
        return WebhookTransport(channel.url, channel.secret)
    service = service_of(channel.url)
    if is_http and service is None and channel.type is None:
        return WebhookTransport(channel.url, channel.secret)
    return AppriseTransport(service, content)
