"""The broadcaster for a bench: without limits of connections, and without pings, which raw sockets ignore."""

from functools import partial

from websockets.asyncio.server import serve

from services.broadcaster import __main__ as broadcaster
from services.broadcaster import server
from shared.runtime.web.connection_limits import ConnectionLimiter

MOST = 10_000

if __name__ == "__main__":
    vars(server)["ConnectionLimiter"] = partial(ConnectionLimiter, MOST, MOST)
    vars(server)["serve"] = partial(serve, ping_interval=None)
    broadcaster.main()
