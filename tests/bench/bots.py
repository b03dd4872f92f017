"""The dashboard of many bots: its answers and its page, with an hour of rows of each bot."""

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

import msgspec
from redis import Redis

from shared.runtime import clock
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import (
    AnyRecord,
    Equity,
    Fill,
    Heartbeat,
    Metric,
    Order,
    Performance,
    Undefined,
)
from shared.schema.units import metric_fields
from shared.store.database import Database, sqlite_url
from shared.store.records import insert_records
from tests.support import free_port, valkey, wait_until
from tests.unit.dashboard.browser import CHROMIUM, DRIVER, chromium

ASKED = 5
PATHS = ("/api/monitoring", "/api/monitoring/summary", "/api/monitoring/bots")
LOADS = 3


@dataclass(frozen=True)
class Board:
    """What the dashboard's answers took with so many bots."""

    bots: int
    milliseconds: dict[str, float]
    """By path: the median."""
    kilobytes: dict[str, float]
    page: "PageLoad | None"
    """None without a browser."""


@dataclass(frozen=True)
class PageLoad:
    """How long a browser with an empty cache takes to show the overview, ms since it asked for it."""

    first_paint: float
    all_rows: float
    kilobytes: float
    """Sent by the server until then, compressed."""


def measure(folder: Path, bots: int, *, minutes: int) -> Board:
    """Fill Redis and SQLite with `bots`, a row a minute each, and ask a dashboard for them."""
    home = folder / f"bots-{bots}"
    home.mkdir()
    with valkey(home) as url:
        environ = {**os.environ, "BOTWATCH_HOME": str(home), "REDIS_URL": url}
        subprocess.run([sys.executable, "-m", "shared.runtime.migrate"], env=environ, check=True)
        _fill(home, url, bots, minutes)
        with _dashboard(environ) as port:
            found = {path: [_ask(port, path) for _ in range(ASKED)] for path in PATHS}
            page = _page_load(port, home, bots)
    return Board(
        bots,
        {path: median(took for took, _ in each) * 1000 for path, each in found.items()},
        {path: each[0][1] / 1000 for path, each in found.items()},
        page,
    )


def table(boards: Sequence[Board]) -> Iterator[str]:
    """Yield the lines of the figures."""
    yield "the dashboard of many bots, through gunicorn: median time and size of an answer"
    for path in PATHS:
        for board in boards:
            took, size = board.milliseconds[path], board.kilobytes[path]
            yield f"  {path:<40} {board.bots:>5} bots {took:>8,.0f} ms {size:>8,.0f} kB"
    for board in boards:
        if board.page:
            first, last = board.page.first_paint, board.page.all_rows
            times = f"first paint {first:,.0f} ms, all rows {last:,.0f} ms, {board.page.kilobytes:,.0f} kB"
            yield f"  the page, cache empty: {board.bots:>5} bots, {times}"


def _page_load(port: int, home: Path, bots: int) -> PageLoad | None:
    if not (CHROMIUM and DRIVER):
        return None
    found = []
    for number in range(LOADS):
        with chromium(home / f"profile-{number}") as browser:
            browser.set_script_timeout(60)
            browser.get(f"http://127.0.0.1:{port}/")
            found.append(PageLoad(*browser.execute_async_script(_MEASURE, bots)))
    return PageLoad(*(median(values) for values in zip(*map(astuple, found), strict=True)))


_MEASURE = """
    const [bots, done] = arguments;
    const look = () => {
        if (document.querySelectorAll("main tbody tr").length < bots) { requestAnimationFrame(look); return; }
        const [paint] = performance.getEntriesByName("first-contentful-paint");
        const loads = ["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind));
        const bytes = loads.reduce((sum, load) => sum + load.transferSize, 0);
        done([paint.startTime, performance.now(), bytes / 1000]);
    };
    look();
"""


def _fill(home: Path, url: str, bots: int, minutes: int) -> None:
    now = clock.now()
    names = [f"bot-{number:04}" for number in range(bots)]
    with Redis.from_url(url) as redis:
        log = RecordLog(redis)
        for name in names:
            log.append(_latest(name, now), "bench")
    database = Database(sqlite_url(home / "data" / "monitoring" / "performance_metrics.db"))
    for minute in range(minutes):
        at = now - timedelta(minutes=minutes - minute)
        with database.write() as connection:
            insert_records(connection, [record for name in names for record in _latest(name, at)[:3]])
    database.close()


def _latest(bot: str, at: datetime) -> list[AnyRecord]:
    """Return what Redis has of a bot that reports all kinds, with all figures computed but some."""
    known = {
        figure.attribute: 1 for figure in metric_fields(Performance) if figure.attribute != "sharpe_ratio"
    }
    undefined = {name: Undefined(reason="too_few_returns", n=3) for name in ("sharpeRatio", "calmarRatio")}
    return [
        Performance(bot=bot, timestamp=at, source="computed", undefined=undefined, **known),  # type: ignore[arg-type]
        Performance(bot=bot, timestamp=at, portfolio_value=12_500.5, total_pnl=2.5, max_drawdown=8.5),
        Equity(bot=bot, timestamp=at, equity=12_500.5),
        Order(bot=bot, timestamp=at, order_id="1", symbol="X", side="buy", quantity=1, status="filled"),
        Fill(bot=bot, timestamp=at, order_id="1", fill_id="1", symbol="X", side="buy", quantity=1, price=2),
        Heartbeat(bot=bot, timestamp=at, interval_seconds=10),
        Metric(bot=bot, timestamp=at, name="spread", value=1.5, labels={"venue": "x"}),
        Metric(bot=bot, timestamp=at, name="spread", value=2.5, labels={"venue": "y"}),
    ]


@contextmanager
def _dashboard(environ: dict[str, str]) -> Iterator[int]:
    port = free_port()
    environ = environ | {"DASHBOARD_PORT": str(port)}
    with subprocess.Popen([sys.executable, "-m", "services.dashboard"], env=environ) as process:
        try:
            wait_until(lambda: _is_up(port), "the dashboard answers", timeout_s=60)
            yield port
        finally:
            process.terminate()


def _is_up(port: int) -> bool:
    try:
        return _ask(port, "/api/monitoring/alerts")[1] > 0
    except OSError:
        return False


def _ask(port: int, path: str) -> tuple[float, int]:
    """Return how long the answer took, seconds, and its size."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    begun = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    took = time.perf_counter() - begun
    connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise OSError(f"{path} answered {answer.status}: {body[:500]!r}")
    msgspec.json.decode(body)
    return took, len(body)
