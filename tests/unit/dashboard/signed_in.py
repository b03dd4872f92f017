"""A dashboard where access is required, with a user of each role, and browsers that sign in."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import select
from werkzeug.test import TestResponse

from services.dashboard.app import create_dashboard_app
from services.dashboard.config import DashboardSettings
from services.dashboard.data_sources import DataSources
from shared.access.internal_tokens import format_internal_tokens
from shared.access.sealing import Sealer
from shared.access.users import Actor, Users
from shared.runtime.audit_key import audit_key
from shared.store.database import Database
from shared.store.tables import audit_log
from tests.unit.dashboard.conftest import LINKS
from tests.unit.dashboard.sample_data import NOON

PASSWORD, OTHER_PASSWORD = "correct horse battery", "another horse battery"
ORIGIN = {"Origin": "http://localhost"}
"""What a browser sends with a change."""
ROOT = Actor("os:root")
COMMAND_TOKEN = "bw_the-token-of-the-command"


class RestrictedDashboard:
    """The app, its users `root` (admin), `olga` (operator) and `vera` (viewer), and a clock to move."""

    def __init__(
        self, redis: Redis, databases: tuple[Database, Database], home: Path, **settings: Any
    ) -> None:
        performance, self.health = databases
        self.now = NOON
        key = audit_key(home, {})
        known = DashboardSettings(
            access="required",
            internal_tokens=format_internal_tokens({"botwatch": COMMAND_TOKEN}),
            dashboard_url="https://botwatch.example",
            **settings,
        )
        self.app = create_dashboard_app(
            known, DataSources(redis, performance, self.health), LINKS, lambda: self.now
        )
        self.users = Users(self.health, key, Sealer(LINKS.secret))
        for name, role in (("root", "admin"), ("olga", "operator"), ("vera", "viewer")):
            self.users.add(name, role, PASSWORD, ROOT, self.now)

    def browser(self, user: str | None = None) -> FlaskClient:
        """Return a client with a cookie jar of its own, signed in as `user`."""
        client = self.app.test_client()
        if user:
            assert sign_in(client, user).status_code == 303
        return client

    def wait(self, **span: float) -> datetime:
        """Let time pass."""
        self.now += timedelta(**span)
        return self.now

    def audited(self, action: str) -> list[tuple[str, str, str, str]]:
        """Return by whom, from where, on what, and the outcome of an action's entries."""
        with self.health.read() as connection:
            rows = connection.execute(select(audit_log).where(audit_log.c.action == action)).all()
        return [(row.by, row.address, row.subject, row.outcome) for row in rows]


def sign_in(client: FlaskClient, name: str, password: str = PASSWORD, **further: Any) -> TestResponse:
    """Send the form of the login page."""
    further.setdefault("headers", ORIGIN)
    return client.post("/login", data={"name": name, "password": password}, **further)
