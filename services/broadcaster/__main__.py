"""Broadcaster: records and alerts as they come, on ws://HOST:WEBSOCKET_PORT/monitoring."""

import asyncio
import signal
import sys

import structlog

from services.broadcaster.config import BroadcasterSettings
from services.broadcaster.server import Broadcaster
from services.broadcaster.source import Source, connect
from shared.runtime import redis as blocking
from shared.runtime import service
from shared.runtime.health import Health, Pulse
from shared.runtime.liveness import Liveness
from shared.runtime.parts import Presence, address

log = structlog.get_logger()

PART = "broadcaster"


def main() -> None:
    """Run the broadcaster."""
    settings = service.start(PART, BroadcasterSettings)
    try:
        asyncio.run(run(settings))
    except OSError as error:
        sys.exit(f"botwatch {PART}: {error}")
    log.info("stopped")


async def run(settings: BroadcasterSettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    redis, asking, pulse = connect(settings.redis_url), blocking.connect(settings.redis_url), Pulse()
    health = Health(PART, {"redis": asking.ping, "loop": pulse.check})
    broadcaster = Broadcaster(settings, Source(redis), health, pulse)
    server = await broadcaster.listen()
    port = next(iter(server.sockets)).getsockname()[1]
    url = address(settings.websocket_host, port)
    presence = Presence(asking, PART, url)
    liveness = Liveness(pulse)
    log.info("started", health=f"{url}/health")
    following = asyncio.create_task(broadcaster.follow())
    ending = asyncio.create_task(stopping.wait())
    await asyncio.wait((following, ending), return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    liveness.close()
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
