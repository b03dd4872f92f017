"""The WebSocket server: one task reads Redis, and each client has a writer task."""

import asyncio
import ssl
from collections.abc import Iterable
from functools import partial
from http import HTTPStatus
from typing import cast
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import msgspec
import structlog
from prometheus_client import REGISTRY, Counter, Gauge
from redis.exceptions import RedisError
from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from services.broadcaster.client_access import REVOKED, ClientAccess
from services.broadcaster.config import BroadcasterSettings
from services.broadcaster.encoding import decode_alert_entry, decode_record_entry, encode_gap
from services.broadcaster.hub import Entry, Frame, Hub, HubClient, frames
from services.broadcaster.limited_connection import CountedConnection
from services.broadcaster.query import Query, parse_query
from services.broadcaster.stream_merge import StreamEntryAt, StreamPositions, format_position
from services.broadcaster.stream_source import RECORDS, STREAMS, StreamSource
from shared.access.identity import Identity
from shared.access.refusals import AccessDeniedError
from shared.runtime.allowed_hosts import AllowedHosts
from shared.runtime.exposition import expose
from shared.runtime.health import HealthChecks, Pulse, brief
from shared.runtime.redis.connection import UNAVAILABLE_ERRORS, describe_redis_error
from shared.runtime.redis.decoding import decode_or_none
from shared.runtime.web.connection_limits import ConnectionLimiter
from shared.schema.faults import InvalidError

log = structlog.get_logger()

PATH = "/monitoring"
SLOW_CONSUMER = 4008
"""The close code of a client that did not keep up."""
FLUSH_INTERVAL_S = 0.01
KEEPALIVE_INTERVAL_S = 1.0
"""Interval of keepalives for clients that request them."""
REDIS_GRACE_S = 3.0
"""How long a connecting client waits for Redis."""
OPEN_TIMEOUT_S = 10.0
"""Limit of a handshake."""
CLOSE_TIMEOUT_S = 1.0
"""Limit of a closing handshake; a stalled client never finishes it."""
MAX_INCOMING_BYTES = 4096
"""What clients send is ignored."""

CLIENTS = Gauge("botwatch_websocket_clients", "Clients that are connected now.")
MESSAGES = Counter("botwatch_websocket_messages", "Messages sent to clients.")
DROPPED = Counter("botwatch_websocket_dropped", "Clients dropped because they did not keep up.")


class WebSocketServer:
    """Reads the streams and serves the clients."""

    def __init__(
        self,
        settings: BroadcasterSettings,
        source: StreamSource,
        health: HealthChecks,
        pulse: Pulse,
        access: ClientAccess,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._settings = settings
        self._tls = tls
        self._access = access
        self._hosts = AllowedHosts(settings, settings.dashboard_port)
        self._source = source
        self._health = health
        self._pulse = pulse
        self._hub = Hub()
        self._positions: StreamPositions | None = None
        self._reading = asyncio.Event()
        self._fault = "Redis is unreachable"
        """Why the streams could not be read."""
        self._alive_at = 0.0
        self._connections: dict[HubClient, ServerConnection] = {}
        self._ready: dict[HubClient, asyncio.Event] = {}
        self._idle: set[HubClient] = set()
        """Clients whose writers wait: a task for each frame and client would cost as much as sending it."""
        self._drops: set[asyncio.Task[None]] = set()
        self._identities: WeakKeyDictionary[ServerConnection, Identity] = WeakKeyDictionary()

    async def listen(self) -> Server:
        """Open the port."""
        return await serve(
            self._serve,
            self._settings.websocket_host,
            self._settings.websocket_port,
            ssl=self._tls,
            compression=None,  # it would halve the rate and triple the memory of each connection
            max_size=MAX_INCOMING_BYTES,
            close_timeout=CLOSE_TIMEOUT_S,
            process_request=self._process_request,
            open_timeout=OPEN_TIMEOUT_S,
            create_connection=cast(
                "type[CountedConnection]", partial(CountedConnection, connections=ConnectionLimiter())
            ),
            server_header="Botwatch",
        )

    async def run(self) -> None:
        """Publish new entries for ever; while Redis is down, log it once and retry."""
        away = False
        while True:
            try:
                await self._step()
            except UNAVAILABLE_ERRORS as error:
                self._fault = describe_redis_error(error)
                if not away:
                    log.warning("redis is down", reason=self._fault, error=str(error))
                away = True
                self._pulse.touch()
                await asyncio.sleep(0.2)
                continue
            if away:
                log.info("redis is up")
            away = False
            self._pulse.touch()

    async def _step(self) -> None:
        if self._positions is None:
            self._positions = await self._source.end_positions()
            self._reading.set()
        batch = await self._source.read(self._positions)
        # No await until the end of publishing: a joining client sees both changes or neither.
        self._positions = batch.positions
        self._send(self._hub.publish(list(decode_entries(batch.entries))))
        if (now := asyncio.get_running_loop().time()) >= self._alive_at:
            self._alive_at = now + KEEPALIVE_INTERVAL_S
            self._send(self._hub.publish_keepalive(Frame(b'[{"type":"alive"}]', 1)))
            self._close_revoked()
        await asyncio.sleep(0 if batch.more or not batch.entries else FLUSH_INTERVAL_S)

    def _send(self, clients: Iterable[HubClient]) -> None:
        """Send the next frame of clients that have read all before it; wake the writers of the others."""
        together: dict[Frame, list[ServerConnection]] = {}
        for client in clients:
            if client.dropped:
                self._drop(client)
                continue
            connection = self._connections[client]
            if client in self._idle and not connection.transport.get_write_buffer_size():
                if frame := client.dequeue():
                    together.setdefault(frame, []).append(connection)
                if client.is_empty:
                    continue
            self._idle.discard(client)
            self._ready[client].set()
        for frame, connections in together.items():
            broadcast(connections, frame.data, text=True)
            MESSAGES.inc(frame.messages * len(connections))

    async def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer plain HTTP requests, and reject invalid WebSocket requests."""
        host, origin = _header(request, "Host"), _header(request, "Origin")
        refusal = self._hosts.host_refusal(host) or self._hosts.origin_refusal(origin, host)
        if refusal:
            return connection.respond(refusal.status, f"{refusal.message}\n")
        try:
            return await self._respond(connection, request)
        except AccessDeniedError as denied:
            response = connection.respond(denied.refusal.status, f"{denied}\n")
            response.headers.update(denied.refusal.headers)
            return response

    async def _respond(self, connection: ServerConnection, request: Request) -> Response | None:
        address, client = urlsplit(request.path), client_address(connection)
        if address.path == PATH:
            return await self._rejection(connection, request)
        if address.path == "/metrics":
            self._access.authenticate(request, client)
            return _metrics(request)
        if address.path == "/health":
            report = await asyncio.to_thread(self._health.report)
            status = HTTPStatus.OK if report.status == "ok" else HTTPStatus.SERVICE_UNAVAILABLE
            may_read = self._access.may_read(request, client)
            text = msgspec.json.encode(report if may_read else brief(report)).decode()
            return _with_type(connection.respond(status, text), "application/json")
        return connection.respond(
            HTTPStatus.NOT_FOUND, f"no such path; expected {PATH}, /metrics or /health\n"
        )

    async def _rejection(self, connection: ServerConnection, request: Request) -> Response | None:
        """Return the rejection of a WebSocket with an invalid query, or while Redis is down; else None.

        Raises AccessDeniedError.
        """
        try:
            parse_query(urlsplit(request.path).query)
        except InvalidError as error:
            return connection.respond(HTTPStatus.BAD_REQUEST, "\n".join(map(str, error.faults)) + "\n")
        try:
            async with asyncio.timeout(REDIS_GRACE_S):
                await self._reading.wait()
        except TimeoutError:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, f"{self._fault}; retry later\n")
        try:
            self._identities[connection] = await self._access.identify(request, client_address(connection))
        except RedisError as error:
            fault = describe_redis_error(error)
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, f"{fault}; retry later\n")
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        """Serve one client until it or the server disconnects."""
        query = parse_query(urlsplit(connection.request.path if connection.request else "").query)
        client = HubClient(query.wanted, self._settings.websocket_queue_bytes)
        self._connections[client] = connection
        self._ready[client] = asyncio.Event()
        CLIENTS.set(len(self._connections))
        writer = asyncio.create_task(self._write(client, connection, query))
        try:
            while True:
                await connection.recv()
        except ConnectionClosed:
            log.debug("client left", address=connection.remote_address)
        finally:
            self._hub.leave(client)
            del self._connections[client], self._ready[client]
            self._idle.discard(client)
            CLIENTS.set(len(self._connections))
            writer.cancel()

    async def _write(self, client: HubClient, connection: ServerConnection, query: Query) -> None:
        try:
            await self._send_initial(client, connection, query)
            ready = self._ready[client]
            while True:
                if not ready.is_set():
                    self._idle.add(client)
                await ready.wait()
                ready.clear()
                while frame := client.dequeue():
                    await connection.send(frame.data, text=True)
                    MESSAGES.inc(frame.messages)
        except ConnectionClosed:
            return  # the reading side cleans up
        except RedisError as error:
            log.warning("client cannot be served", error=str(error))
            await close(connection, CloseCode.TRY_AGAIN_LATER, describe_redis_error(error))
        except Exception:
            # Close the connection: a client must not silently stop receiving.
            log.exception("client cannot be served")
            await close(connection, CloseCode.INTERNAL_ERROR, "internal error")

    async def _send_initial(self, client: HubClient, connection: ServerConnection, query: Query) -> None:
        """Send the snapshot and the missed messages, then join the hub without a gap."""
        start = self._published_positions()
        await connection.send(await self._source.snapshot(max(start), query.wanted), text=True)
        MESSAGES.inc()
        if query.since is not None:
            resumption = await self._source.resume(query.since, start)
            start = resumption.positions
            if resumption.oldest:
                await connection.send(encode_gap(query.since, resumption.oldest), text=True)
        # Catch up at the client's own pace; only the last part goes through its queue.
        more = True
        while more and start != self._published_positions():
            start, more = await self._replay(connection, query, start, self._published_positions())
        upto = self._published_positions()
        self._hub.join(client)
        while start != upto:
            start, more = await self._replay(connection, query, start, upto)
            if not more:
                break

    async def _replay(
        self, connection: ServerConnection, query: Query, after: StreamPositions, upto: StreamPositions
    ) -> tuple[StreamPositions, bool]:
        batch = await self._source.read_range(after, upto)
        for frame in frames(decode_entries(batch.entries), query.wanted):
            await connection.send(frame.data, text=True)
            MESSAGES.inc(frame.messages)
        return batch.positions, batch.more

    def _published_positions(self) -> StreamPositions:
        if self._positions is None:
            raise RuntimeError("a client was served before the streams were read")
        return self._positions

    def _drop(self, client: HubClient) -> None:
        connection = self._connections[client]
        DROPPED.inc()
        log.warning("slow client dropped", address=connection.remote_address)
        self._begin_close(connection, SLOW_CONSUMER, "slow consumer")

    def _close_revoked(self) -> None:
        """Close the connections whose token or session is no longer valid."""
        revoked = self._access.revoked(list(self._identities.values()))
        for connection in [one for one, identity in self._identities.items() if identity in revoked]:
            del self._identities[connection]
            log.info("client closed: token or session no longer valid", address=connection.remote_address)
            self._begin_close(connection, REVOKED, "token or session no longer valid")

    def _begin_close(self, connection: ServerConnection, code: int, reason: str) -> None:
        task = asyncio.create_task(close(connection, code, reason))
        self._drops.add(task)
        task.add_done_callback(self._drops.discard)

    async def close(self, server: Server) -> None:
        """Close the port and every connection, with a reason for clients that still read."""
        server.close(close_connections=False)
        connections = list(self._connections.values())
        closing = (close(connection, CloseCode.GOING_AWAY, "stopping") for connection in connections)
        await asyncio.gather(*closing)
        await server.wait_closed()


def decode_entries(found: Iterable[StreamEntryAt]) -> Iterable[Entry]:
    """Yield the messages of each entry; unreadable entries are skipped."""
    for position, stream, data in found:
        make = decode_record_entry if stream == RECORDS else decode_alert_entry
        messages = decode_or_none(STREAMS[stream], partial(make, format_position(position), data))
        if messages is not None:
            yield messages


async def close(connection: ServerConnection, code: int, reason: str) -> None:
    """Close with a closing handshake, then abort: the library would wait for ever for a stalled client."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await connection.close(code, reason)
    except TimeoutError:
        log.debug("client did not finish the closing handshake", address=connection.remote_address)
    connection.transport.abort()


def client_address(connection: ServerConnection) -> str:
    """Return the client's IP address."""
    return str(connection.remote_address[0]) if connection.remote_address else ""


def _metrics(request: Request) -> Response:
    headers, body = expose(REGISTRY, _header(request, "Accept"), _header(request, "Accept-Encoding"))
    body = b"" if request.method == "HEAD" else body
    return Response(HTTPStatus.OK, HTTPStatus.OK.phrase, Headers([*headers, ("Connection", "close")]), body)


def _header(request: Request, name: str) -> str | None:
    """Return a header; a repeated one is joined, which no check accepts."""
    return ", ".join(request.headers.get_all(name)) or None


def _with_type(response: Response, content_type: str) -> Response:
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = content_type
    return response
