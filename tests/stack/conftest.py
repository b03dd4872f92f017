"""Starts the stack once for all its tests and takes it down afterwards, volumes included."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.compose import ComposeStack, copy_config
from tests.stack.receivers import MailServer, WebhookServer, receivers
from tests.support import unavailable

HERE = Path(__file__).parent
TIMEOUT_S = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark these tests, and give the first of them time to build the images."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.stack)
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


def _require_docker() -> None:
    try:
        for command in (["version"], ["compose", "version"]):
            subprocess.run(["docker", *command], capture_output=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        unavailable(f"docker with compose does not answer: {error}")


@pytest.fixture(scope="session")
def outside() -> Iterator[tuple[WebhookServer, MailServer]]:
    """Run the receivers of notices."""
    _require_docker()
    with receivers() as both:
        yield both


@pytest.fixture(scope="session")
def webhook(outside: tuple[WebhookServer, MailServer]) -> WebhookServer:
    """Return the receiver of webhooks."""
    return outside[0]


@pytest.fixture(scope="session")
def mailbox(outside: tuple[WebhookServer, MailServer]) -> MailServer:
    """Return the receiver of mail."""
    return outside[1]


@pytest.fixture(scope="session")
def stack(
    outside: tuple[WebhookServer, MailServer],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[ComposeStack]:
    """Run the whole stack."""
    receiver, mail = outside
    config = copy_config(tmp_path_factory.mktemp("stack") / "config", mail.port)
    environment = {
        "ALERT_WEBHOOK_URL": f"http://host.docker.internal:{receiver.port}/hook",
        "ALERT_SMTP": "host.docker.internal",
        "ALERT_EMAIL_TO": "operator@example.org",
    }
    running = ComposeStack(config, environment)
    try:
        try:
            running.up()
        except AssertionError as error:
            pytest.fail(f"{error}\n{running.logs()}", pytrace=False)
        yield running
        if request.session.testsfailed:
            print(running.logs())  # noqa: T201 - shown with the failure
    finally:
        running.down()
