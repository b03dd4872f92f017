"""Channel registry: builds the transport for a configured channel."""

import os
from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

import msgspec

from services.notifier.channels.alertmanager import AlertmanagerTransport
from services.notifier.channels.apprise import AppriseTransport, service_of
from services.notifier.channels.base import Transport
from services.notifier.channels.email import EmailTransport, mailbox_of
from services.notifier.channels.slack import SlackTransport
from services.notifier.channels.watchdog_ping import (
    LoopbackTransport,
    WatchdogUrlTransport,
)
from services.notifier.channels.webhook import WebhookTransport
from services.notifier.content.message_view import MessageContent
from shared.runtime.config.notifications import ChannelSection, EmailConfig
from shared.runtime.encrypted_values import decrypt
from shared.runtime.http.urls import parse_server_address, split_url
from shared.runtime.settings import ENCRYPTED_PREFIX
from shared.schema.faults import Fault, InvalidError
from shared.schema.watchdog import LOOPBACK_CHANNEL, WATCHDOG_URL_CHANNEL

SLACK_HOST = "hooks.slack.com"

S = TypeVar("S", ChannelSection, EmailConfig)
ChannelKind = Literal["alertmanager", "apprise", "email", "loopback", "slack", "watchdog-url", "webhook"]
TransportFactory = Callable[[str, ChannelSection, MessageContent], Transport]
"""Creates a transport from the channel's name, its decrypted section and the renderer of messages."""

TRANSPORTS: Mapping[ChannelKind, TransportFactory] = {
    "alertmanager": lambda name, channel, _: AlertmanagerTransport(name, channel.url, channel.secret),
    "apprise": lambda _, channel, content: AppriseTransport(service_of(channel.url), content),
    "email": lambda _, channel, content: EmailTransport(mailbox_of(channel), content),
    "loopback": lambda *_: LoopbackTransport(),
    "slack": lambda _, channel, content: SlackTransport(channel.url, content),
    "watchdog-url": lambda _, channel, __: WatchdogUrlTransport(channel.url),
    "webhook": lambda _, channel, __: WebhookTransport(channel.url, channel.secret),
}
"""Creates the transport of each kind of channel; a new kind takes one module and one line."""


def build_transport(
    name: str, channel: ChannelSection, content: MessageContent, environ: Mapping[str, str] = os.environ
) -> Transport:
    """Return the transport of a channel. Raises InvalidError if its configuration is invalid."""
    channel = decrypted(name, channel, environ)
    kind = channel_kind(name, channel)
    if kind in ("alertmanager", "slack", "webhook") and _http_host(channel.url) is None:
        raise InvalidError([Fault(f"channels.{name}.url", "expected http://… or https://…")])
    return TRANSPORTS[kind](name, channel, content)


def channel_kind(name: str, channel: ChannelSection) -> ChannelKind:
    """Return the kind of a channel.

    Without a `type` the URL decides: Slack's webhook, a service known to apprise (also by the `https://` URL
    that a service such as Discord issues), else a webhook.
    """
    if name == LOOPBACK_CHANNEL:
        return "loopback"
    if name == WATCHDOG_URL_CHANNEL:
        return "watchdog-url"
    if channel.email:
        return "email"
    kind = channel.type or _kind_of_url(channel)
    return "alertmanager" if kind == "webhook" and channel.format == "alertmanager" else kind


def _kind_of_url(channel: ChannelSection) -> Literal["apprise", "slack", "webhook"]:
    host = _http_host(channel.url)
    if channel.secret or channel.format != "botwatch":
        return "webhook"
    if host == SLACK_HOST:
        return "slack"
    if channel.url.lower().startswith("http://"):
        return "webhook"
    return "webhook" if host is not None and service_of(channel.url) is None else "apprise"


def _http_host(url: str) -> str | None:
    """Return the host of an http(s) URL, None for any other URL."""
    try:
        return parse_server_address(split_url(url)).host
    except ValueError:
        return None


def decrypted(name: str, channel: ChannelSection, environ: Mapping[str, str]) -> ChannelSection:
    """Return `channel` with its values decrypted. Raises InvalidError if the key does not match."""
    try:
        mailbox = channel.email and _decrypt_fields(channel.email, ("username", "password"), environ)
        return msgspec.structs.replace(_decrypt_fields(channel, ("url", "secret"), environ), email=mailbox)
    except InvalidError as error:
        faults = [Fault(f"channels.{name}: {one.path}", one.message) for one in error.faults]
        raise InvalidError(faults) from error


def _decrypt_fields(section: S, fields: tuple[str, ...], environ: Mapping[str, str]) -> S:
    clear = {field: decrypt(getattr(section, field), environ) for field in fields}
    return msgspec.structs.replace(section, **clear)


def describe_channel(
    name: str, channel: ChannelSection, environ: Mapping[str, str] = os.environ
) -> tuple[ChannelKind, str]:
    """Return the kind of a channel and where it sends to. Raises InvalidError if its key does not match."""
    channel = decrypted(name, channel, environ)
    return channel_kind(name, channel), destination(channel)


def destination(channel: ChannelSection) -> str:
    """Describe where a channel sends to, without secrets: a mailbox, a host, or a service of apprise."""
    if channel.email:
        return f"{', '.join(channel.email.to)} by {channel.email.smtp}:{channel.email.port}"
    if channel.url.startswith(ENCRYPTED_PREFIX):
        return "encrypted address"
    return _http_host(channel.url) or channel.url.partition(":")[0]
