"""Users that a reverse proxy has signed in, believed from the proxy's addresses only."""

import ipaddress
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from flask import Request

from services.dashboard.config import DashboardSettings
from shared.access.identity import ROLES, Identity
from shared.access.users import NAME_PATTERN, Users, normalize_name
from shared.schema.faults import Fault, InvalidError

log = structlog.get_logger()

WARNING_INTERVAL = timedelta(hours=1)
"""How often at most a spoofed header of one address is reported."""
MAX_ADDRESSES = 1000


class ProxyUsers:
    """Reads PROXY_USER_HEADER of requests from PROXY_ADDRESSES; without the setting it is ignored."""

    def __init__(
        self, settings: DashboardSettings, users: Users, report_spoofing: Callable[[str, str, datetime], None]
    ) -> None:
        """`report_spoofing` gets name, address and time. Raises InvalidError for wrong settings."""
        self._header = settings.proxy_user_header
        self._networks = _networks(settings)
        self._default_role = settings.proxy_default_role
        self._users = users
        self._report_spoofing = report_spoofing
        self._reported: dict[str, datetime] = {}

    def identify(self, request: Request, now: datetime) -> Identity | None:
        """Return the identity that the proxy names; None if there is none, or it may not sign in."""
        given = request.headers.get(self._header) if self._header else None
        if not given:
            return None
        # The peer of the connection: X-Forwarded-For, which ProxyFix applies, can be made up.
        environ = request.environ.get("werkzeug.proxy_fix.orig", request.environ)
        peer = str(environ.get("REMOTE_ADDR", ""))
        if not self._is_proxy(peer):
            self._report(given, peer, now)
            return None
        name = normalize_name(given)
        user = self._users.find(name)
        if user is None and self._default_role and NAME_PATTERN.fullmatch(name):
            return Identity(name, "proxy", ROLES[self._default_role])
        if user is None or user.disabled:
            log.warning("user of the proxy refused", user=name[:64], reason="disabled" if user else "unknown")
            return None
        return Identity(name, "proxy", ROLES[user.role], credential=f"proxy:{name}")

    def _is_proxy(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)

    def _report(self, name: str, peer: str, now: datetime) -> None:
        last = self._reported.get(peer)
        if last and now - last < WARNING_INTERVAL:
            return
        if len(self._reported) >= MAX_ADDRESSES:
            self._reported.clear()
        self._reported[peer] = now
        log.warning("user header ignored: the address is no proxy", header=self._header, address=peer)
        self._report_spoofing(name, peer, now)


def _networks(settings: DashboardSettings) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    faults, networks = [], []
    for text in filter(None, map(str.strip, settings.proxy_addresses.split(","))):
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError as error:
            faults.append(
                Fault("PROXY_ADDRESSES", f"expected addresses like 10.0.0.1 or 10.0.0.0/24: {error}")
            )
    if settings.proxy_user_header and not networks and not faults:
        text = f"required: from which addresses {settings.proxy_user_header} is believed"
        faults.append(Fault("PROXY_ADDRESSES", text))
    if faults:
        raise InvalidError(faults)
    return networks
