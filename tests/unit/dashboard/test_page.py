"""The page, its headers, and what the part says of itself."""

import json
import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy.pool import QueuePool

from services.dashboard.app import create_dashboard_app
from services.dashboard.config import DashboardSettings
from services.dashboard.data_sources import DataSources
from shared.runtime.redis.connection import connect_redis
from shared.schema.metric_definitions import DEFINITIONS
from shared.schema.undefined_reasons import EARLIER_REASONS, REASONS
from shared.store.database import Database
from shared.version import VERSION
from tests.unit.dashboard.conftest import LINKS
from tests.unit.dashboard.sample_data import NOON, body, make_alert, store_open_alert, store_watchdog_beat

SERVED = Path(__file__).parents[3] / "services" / "dashboard"


def test_the_page_is_html_under_a_strict_policy(client: FlaskClient) -> None:
    answer = client.get("/")
    assert answer.mimetype == "text/html"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith(
        "default-src 'self'; connect-src 'self' ws://localhost:18080 wss://localhost:18080; "
    )
    assert "unsafe" not in policy
    assert 'data-websocket-port="18080"' in answer.text


def test_the_policy_names_the_websocket_that_is_set(
    redis: Redis, performance: Database, health: Database
) -> None:
    settings = DashboardSettings(websocket_url="wss://live.example/monitoring")
    client = create_dashboard_app(
        settings, DataSources(redis, performance, health), LINKS, lambda: NOON
    ).test_client()
    policy = client.get("/").headers["Content-Security-Policy"]
    assert "connect-src 'self' wss://live.example;" in policy


@pytest.mark.parametrize(("trust", "base"), [(True, "/botwatch/"), (False, "/")])
def test_below_a_trusted_proxys_prefix_every_address_has_it(
    redis: Redis, performance: Database, health: Database, trust: bool, base: str
) -> None:
    settings = DashboardSettings(trust_proxy=trust)
    client = create_dashboard_app(
        settings, DataSources(redis, performance, health), LINKS, lambda: NOON
    ).test_client()
    page = client.get("/", headers={"X-Forwarded-Prefix": "/botwatch"}).text
    assert f'data-base="{base}"' in page
    addresses = re.findall(r'(?:src|href)="(/[^"]*)"', page)
    assert addresses
    assert all(address.startswith(base) for address in addresses)


def test_every_static_file_is_named_and_served(client: FlaskClient) -> None:
    """The pages name every static file but the views, at addresses that browsers may keep for a year."""
    pages = "".join(client.get(path).text for path in ("/", "/api/docs", "/runbooks/drawdown"))
    addresses = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', pages))
    files = [path for path in SERVED.glob("static/**/*.*") if path.suffix != ".md"]
    loaded = re.compile("views/|again.js")  # by the modules, or by the login after a link of another site
    assert {address.split("/", 3)[3] for address in addresses} == {
        name for path in files if not loaded.match(name := path.relative_to(SERVED / "static").as_posix())
    }
    assert len({address.split("/")[2] for address in addresses}) == 1, "one version"
    for address in addresses:
        with client.get(address) as answer:
            assert answer.status_code == 200
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert not address.endswith(".js") or answer.mimetype == "text/javascript"
            etag = answer.headers["ETag"]
        with client.get(address, headers={"If-None-Match": etag}) as unchanged:
            assert unchanged.status_code == 304


def test_a_static_file_of_another_version_is_unknown(client: FlaskClient) -> None:
    """An address of another version is answered 404, and no cache keeps that answer."""
    answer = client.get("/static/000000000000/main.js")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (404, "no-store")


def test_page_has_every_metric_definition_and_reason(
    client: FlaskClient,
) -> None:
    found = re.search(
        r'<script type="application/json" id="definitions">(.*?)</script>', client.get("/").text
    )
    assert found
    brought = json.loads(found[1])
    figures = {figure["wire"]: figure for family in brought["families"] for figure in family["figures"]}
    assert {name: (one["label"], one["text"]) for name, one in figures.items()} == {
        name: (one.label, one.text) for name, one in DEFINITIONS.items()
    }
    assert figures["maxDrawdown"]["unit"] == "percent"
    assert brought["reasons"] == REASONS | EARLIER_REASONS


def test_page_loads_nothing_external_and_makes_no_markup_of_data() -> None:
    files = [*SERVED.glob("static/**/*.*"), *SERVED.glob("templates/*")]
    own = [file for file in files if "vendor" not in file.parts]
    text = "\n".join(file.read_text(encoding="utf-8") for file in own)
    foreign = set(re.findall(r"""https?://[^\s"'`]+""", text)) - {"http://www.w3.org/2000/svg"}
    assert not {address for address in foreign if not address.startswith("http://127.0.0.1")}, "an example"
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|\| *safe", text)


def test_a_configured_websocket_address_reaches_the_page_escaped(
    performance: Database, health: Database
) -> None:
    settings = DashboardSettings(websocket_url='wss://x.example/"><script>')
    redis = connect_redis("redis://127.0.0.1:1/0")
    page = (
        create_dashboard_app(settings, DataSources(redis, performance, health), LINKS)
        .test_client()
        .get("/")
        .text
    )
    assert 'data-websocket-url="wss://x.example/&#34;&gt;&lt;script&gt;"' in page


def test_health_asks_redis_and_both_databases(client: FlaskClient) -> None:
    answer = client.get("/health")
    assert (answer.status_code, body(answer)["status"]) == (200, "ok")
    assert set(body(answer)["checks"]) == {"redis", "performance", "health"}


def test_page_api_health_and_metrics_show_the_version(client: FlaskClient) -> None:
    """Whichever of them a reader opens, it names the same version."""
    assert f'data-version="{VERSION}"' in client.get("/").text
    assert body(client.get("/api/monitoring"))["system"]["version"] == VERSION
    assert body(client.get("/health"))["version"] == VERSION
    assert f'botwatch_build_info{{version="{VERSION}"}} 1.0' in client.get("/metrics").text


def test_health_fails_while_redis_is_away(client_without_redis: FlaskClient) -> None:
    answer = client_without_redis.get("/health")
    assert answer.status_code == 503
    assert body(answer)["checks"]["redis"]["status"] == "failing"


def test_metrics_count_open_alerts_and_pending_notifications(client: FlaskClient, health: Database) -> None:
    store_open_alert(health, make_alert(1, "CRITICAL"))
    store_open_alert(health, make_alert(2, "CRITICAL"))
    lines = client.get("/metrics").text.splitlines()
    assert 'botwatch_alerts_open{severity="CRITICAL"} 2.0' in lines
    assert 'botwatch_alerts_open{severity="LOW"} 0.0' in lines
    assert 'botwatch_notifications_pending{channel="webhook"} 2.0' in lines


def test_metrics_say_when_the_watchdog_was_heard(client: FlaskClient, health: Database) -> None:
    assert "\nbotwatch_watchdog_heard_timestamp_seconds" not in client.get("/metrics").text
    store_watchdog_beat(health, NOON)
    _, _, said = client.get("/metrics").text.partition("\nbotwatch_watchdog_heard_timestamp_seconds ")
    assert float(said.splitlines()[0]) == NOON.timestamp()


def test_making_the_app_opens_no_connection_that_a_fork_would_share(
    performance: Database, health: Database
) -> None:
    databases = (performance, health)
    for database in databases:
        database.close()
    create_dashboard_app(
        DashboardSettings(), DataSources(connect_redis("redis://127.0.0.1:1/0"), performance, health), LINKS
    )
    pools = [database.engine.pool for database in databases]
    assert [pool.checkedin() for pool in pools if isinstance(pool, QueuePool)] == [0, 0]


def test_an_unknown_address_is_404_in_json(client: FlaskClient) -> None:
    answer = client.get("/api/monitoring/nothing")
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_a_browser_at_an_unknown_address_gets_a_page(client: FlaskClient) -> None:
    """With a way back; programs and the paths of the API get JSON."""
    browsers = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    for path in ("/alert/1", "/runbooks/nothing"):
        answer = client.get(path, headers=browsers)
        assert (answer.status_code, answer.mimetype) == (404, "text/html")
        assert 'href="/"' in answer.text
        assert client.get(path, headers={"Accept": "*/*"}).mimetype == "application/problem+json"
    assert client.get("/api/nothing", headers=browsers).mimetype == "application/problem+json"


def test_records_at_the_dashboard_are_404_with_the_right_port(client: FlaskClient) -> None:
    """A frequent mistake: the error says where records are posted."""
    answer = client.post("/api/v1/records", json={"kind": "heartbeat", "bot": "a"})
    assert answer.status_code == 404
    assert "records are posted to ingestion, by default at port 9090" in answer.get_json()["error"]
