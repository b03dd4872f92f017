"""Entry point: `python -m services.broadcaster` serves ws://HOST:WEBSOCKET_PORT/monitoring."""

import asyncio
import signal
import sys

import structlog

from services.broadcaster.client_access import ClientAccess
from services.broadcaster.config import BroadcasterSettings
from services.broadcaster.server import WebSocketServer
from services.broadcaster.stream_source import StreamSource, connect_async
from shared.access.authenticator import Authenticator
from shared.runtime import service
from shared.runtime.access import create_authenticator, log_open_access
from shared.runtime.health import HealthChecks, Pulse
from shared.runtime.liveness import StallGuard
from shared.runtime.redis import connection as blocking
from shared.runtime.redis.presence import PresencePublisher, server_url
from shared.runtime.web.tls import TlsFiles, scheme, server_context, tls_files

log = structlog.get_logger()

PART = "broadcaster"


def main() -> None:
    """Run the broadcaster."""
    settings = service.configure_part(PART, BroadcasterSettings)
    with service.exit_on_invalid_config(PART):
        tls = tls_files(settings)
        authenticator = create_authenticator(PART, settings)
    log_open_access(settings, settings.websocket_host)
    try:
        asyncio.run(run(settings, authenticator, tls))
    except OSError as error:
        sys.exit(f"botwatch {PART}: {error}")
    log.info("stopped")


async def run(settings: BroadcasterSettings, authenticator: Authenticator, tls: TlsFiles | None) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    redis, asking, pulse = (
        connect_async(settings.redis_url),
        blocking.connect_redis(settings.redis_url),
        Pulse(),
    )
    health = HealthChecks(PART, {"redis": asking.ping, "loop": pulse.check})
    authenticator.events.redis = asking
    access = ClientAccess(authenticator, redis)
    context = tls and server_context(tls)
    broadcaster = WebSocketServer(settings, StreamSource(redis), health, pulse, access, context)
    server = await broadcaster.listen()
    port = next(iter(server.sockets)).getsockname()[1]
    url = server_url(settings.websocket_host, port, scheme(settings))
    presence = PresencePublisher(asking, PART, url)
    liveness = StallGuard(pulse)
    authenticator.start()
    log.info("started", health=f"{url}/health")
    following = asyncio.create_task(broadcaster.run())
    ending = asyncio.create_task(stopping.wait())
    await asyncio.wait((following, ending), return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    liveness.close()
    authenticator.close()
    ending.cancel()
    following.cancel()
    (ended,) = await asyncio.gather(following, return_exceptions=True)
    await broadcaster.close(server)
    await asyncio.to_thread(presence.close)
    await redis.aclose()
    asking.close()
    if isinstance(ended, Exception):
        raise ended


if __name__ == "__main__":
    main()
