"""Channel registry: builds the transport for a configured channel."""

import os
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from services.notifier.channels.alertmanager import AlertmanagerTransport
from services.notifier.channels.apprise import AppriseTransport, service_of
from services.notifier.channels.base import Transport
from services.notifier.channels.email import EmailTransport
from services.notifier.channels.slack import SlackTransport
from services.notifier.channels.watchdog_ping import (
    LoopbackTransport,
    WatchdogUrlTransport,
)
from services.notifier.channels.webhook import WebhookTransport
from services.notifier.content.message_view import MessageContent
from services.notifier.encrypted_values import ENCRYPTED_PREFIX, decrypt
from shared.runtime.config.notifications import ChannelSection, EmailConfig
from shared.runtime.http.urls import parse_server_address, split_url
from shared.schema.faults import Fault, InvalidError
from shared.schema.watchdog import LOOPBACK_CHANNEL, WATCHDOG_URL_CHANNEL

SLACK_HOST = "hooks.slack.com"

S = TypeVar("S", ChannelSection, EmailConfig)


def build_transport(
    name: str, channel: ChannelSection, content: MessageContent, environ: Mapping[str, str] = os.environ
) -> Transport:
    """Return the transport of a channel. Raises InvalidError if its configuration is invalid.

    Without a `type` the URL decides: Slack's webhook, a service known to apprise (also by the `https://` URL
    that a service such as Discord issues), else a webhook.
    """
    channel = decrypted(name, channel, environ)
    if name in (LOOPBACK_CHANNEL, WATCHDOG_URL_CHANNEL):
        return WatchdogUrlTransport(channel.url) if name == WATCHDOG_URL_CHANNEL else LoopbackTransport()
    if channel.email:
        return EmailTransport(channel.email, content)
    kind = channel.type
    host = _http_host(channel.url)
    if kind is None and (channel.secret or channel.format != "botwatch"):
        kind = "webhook"
    if kind in ("webhook", "slack") and host is None:
        raise InvalidError([Fault(f"channels.{name}.url", "expected http://… or https://…")])
    if kind == "slack" or (kind is None and host == SLACK_HOST):
        return SlackTransport(channel.url, content)
    if kind == "webhook" or (kind is None and channel.url.lower().startswith("http://")):
        return _webhook(name, channel)
    service = service_of(channel.url)
    if service is None and kind is None and host is not None:
        return _webhook(name, channel)
    return AppriseTransport(service, content)


def _webhook(name: str, channel: ChannelSection) -> Transport:
    if channel.format == "alertmanager":
        return AlertmanagerTransport(name, channel.url, channel.secret)
    return WebhookTransport(channel.url, channel.secret)


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


def destination(channel: ChannelSection) -> str:
    """Describe where a channel sends to, without secrets: a mailbox, a host, or a service of apprise."""
    if channel.email:
        return f"{', '.join(channel.email.to)} by {channel.email.smtp}:{channel.email.port}"
    if channel.url.startswith(ENCRYPTED_PREFIX):
        return "encrypted address"
    return _http_host(channel.url) or channel.url.partition(":")[0]
