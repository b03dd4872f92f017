"""Redis over TLS (`rediss://`): the server's certificate is verified, by every kind of client."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from botwatch.redis_publisher import connect_bot_redis
from services.broadcaster.stream_source import connect_async
from shared.runtime.credentials import create_missing, redis_url
from shared.runtime.environment import load_settings
from shared.runtime.redis.connection import connect_redis, describe_redis_error
from shared.runtime.settings import PartSettings
from tests.unit.collector.certificate_authority import authority, certificate, server_context


class TlsRedis(NamedTuple):
    """A Redis behind TLS, with a certificate for `localhost`."""

    port: int
    root: Path
    """The authority's certificate."""

    def url(self, host: str = "localhost", *, root: Path | None = None) -> str:
        """Return a URL, with the file of an authority if one is given."""
        return f"rediss://{host}:{self.port}/0" + (f"?ssl_ca_certs={root}" if root else "")


@pytest.fixture(scope="module")
def secured(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRedis]:
    """Put TLS before the real Valkey, whose build has none."""
    folder, root = tmp_path_factory.mktemp("tls"), authority()
    (folder / "root.pem").write_bytes(root.pem)
    tls = server_context(certificate(root, "localhost").save(folder / "tls.pem"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_accept, args=(listening, tls, valkey_url), daemon=True)
        thread.start()
        yield TlsRedis(listening.getsockname()[1], folder / "root.pem")
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def _accept(listening: socket.socket, tls: ssl.SSLContext, url: str) -> None:
    with suppress(OSError):
        while True:
            client, _ = listening.accept()
            threading.Thread(target=_relay, args=(client, tls, url), daemon=True).start()


def _relay(client: socket.socket, tls: ssl.SSLContext, url: str) -> None:
    address = (urlsplit(url).hostname, urlsplit(url).port)
    with (
        suppress(OSError),
        tls.wrap_socket(client, server_side=True) as near,
        socket.create_connection(address) as far,
    ):
        threading.Thread(target=_copy, args=(far, near), daemon=True).start()
        _copy(near, far)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)


def by_part(url: str) -> object:
    """Ping as the parts, their jobs and the commands do."""
    with closing(connect_redis(url, retries=0)) as redis:
        return redis.ping()


def by_broadcaster(url: str) -> object:
    """Ping as the broadcaster does."""

    async def ping() -> object:
        redis = connect_async(url)
        try:
            return await redis.ping()
        finally:
            await redis.aclose()

    return asyncio.run(ping())


def by_bot(url: str) -> object:
    """Ping as the client library does."""
    with closing(connect_bot_redis(url, timeout_s=1)) as redis:
        return redis.ping()


@pytest.mark.parametrize("ping", [by_part, by_broadcaster, by_bot])
def test_the_certificate_is_verified(secured: TlsRedis, ping: Callable[[str], object]) -> None:
    """Its authority must be the one of `ssl_ca_certs`, and its name that of the URL."""
    assert ping(secured.url(root=secured.root)) is True
    for url in (secured.url(), secured.url("127.0.0.1", root=secured.root)):
        with pytest.raises(RedisConnectionError, match="certificate verify failed"):
            ping(url)


def test_a_subscription_works(secured: TlsRedis) -> None:
    """As the listener on the bots' channel has one."""
    url = secured.url(root=secured.root)
    with closing(connect_redis(url)) as redis, closing(redis.pubsub()) as channel:  # type: ignore[no-untyped-call]
        channel.subscribe("bot:test")
        assert channel.get_message(timeout=5)
        redis.publish("bot:test", "x")
        message = channel.get_message(timeout=5)
    assert message
    assert message["data"] == b"x"


def test_the_stack_gives_each_part_such_a_url(tmp_path: Path) -> None:
    """The passwords of before stay; without an authority the URLs are as they were."""
    create_missing(tmp_path, "redis:6379")
    before = redis_url(tmp_path, "jobs")
    create_missing(tmp_path, "redis:6379", authority="/etc/ssl/ca.crt")
    after = redis_url(tmp_path, "jobs")
    assert after == f"rediss{before.removeprefix('redis')}?ssl_ca_certs=/etc/ssl/ca.crt"
    create_missing(tmp_path, "redis:6379")
    assert redis_url(tmp_path, "jobs") == before


def test_parts_accept_the_url_and_say_why_they_wait(secured: TlsRedis) -> None:
    """The settings take it; a certificate that is refused counts as a Redis that cannot be reached."""
    url = secured.url(root=secured.root)
    assert load_settings(PartSettings, {"REDIS_URL": url}).redis_url == url
    with (
        closing(connect_redis(secured.url(), retries=0)) as redis,
        pytest.raises(RedisConnectionError) as refused,
    ):
        redis.ping()
    assert describe_redis_error(refused.value) == "Redis is unreachable"
