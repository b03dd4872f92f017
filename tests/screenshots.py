"""Screenshots for README and docs: `python -m tests.screenshots docs/images` takes them from a demo.

It runs `botwatch up --demo` on free ports in a temporary folder, with a user and a mail server on loopback,
waits for an alert with a chart, and writes `login.png`, `email.png` (the e-mail about it), and each view
of an admin's page: `page/NAME.webp`, some also on a phone or in the dark. The host's CPU is not checked: this
is what keeps it busy.
"""

import base64
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import default
from pathlib import Path

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from shared.runtime.settings import REPOSITORY
from tests.integration.conftest import run_receivers
from tests.integration.stack import BotwatchProcess, botwatch_up
from tests.support import wait_until
from tests.unit.dashboard.browser import chromium, text

BOT = "demo-eurusd"
IS_WANTED = re.compile(f"{BOT}.*Drawdown")
USER = "ann"
LOGIN_SIZE = (560, 620)
DESK, PHONE = (1280, 1000), (380, 800)
VIEWS = (
    ("overview", "/"),
    ("bot", f"/bots/{BOT}"),
    ("alerts", "/alerts"),
    ("alert", "/alerts/{alert}"),
    ("silences", "/silences"),
    ("checks", "/checks"),
    ("hosts", "/hosts"),
    ("on-call", "/on-call"),
    ("reports", "/reports"),
    ("rules", "/rules"),
    ("channels", "/channels"),
    ("system", "/system"),
    ("audit", "/audit"),
    ("access", "/access"),
    ("status-page", "/status"),
)
"""The views by the names of their pictures."""
ON_A_PHONE, IN_THE_DARK = ("overview", "alert"), ("bot",)
SETTLED_S = 3
"""After a view has loaded: its charts and its live values."""
EMAIL_SIZE = (700, 900)


def main(folder: Path) -> None:
    """Write the screenshots to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, run_receivers() as receivers:
        work = Path(name)
        settings = {
            "ALERT_SMTP": f"127.0.0.1:{receivers.smtp_port}",
            "ALERT_SMTP_SECURITY": "none",
            "ALERT_EMAIL_FROM": "botwatch@example.com",
            "ALERT_EMAIL_TO": "ann@example.com",
            "STATUS_PAGE": "on",
            "STATUS_PAGE_CHECKS": "*",
        }
        with (
            botwatch_up(
                work, example_config(work, receivers.smtp_port), demo=True, ACCESS="required", **settings
            ) as stack,
            chromium(work / "profile") as browser,
        ):
            wait_until(lambda: find_emails(receivers.mails), "an e-mail with a chart", timeout_s=240)
            address = f"http://127.0.0.1:{stack.ports['DASHBOARD_PORT']}/"
            photograph_login(browser, address, add_user(stack), folder)
            photograph_views(browser, address, folder / "page")
            photograph_email(browser, find_emails(receivers.mails)[0], work, folder)


def config_without_cpu(work: Path) -> Path:
    """Copy the config documents, without the check of the CPU."""
    config = shutil.copytree(REPOSITORY / "deploy" / "config", work / "config")
    document = config / "health_monitor.json"
    document.write_text(document.read_text().replace('"cpu", "memory"', '"memory"'))
    return config


def example_config(work: Path, port: int) -> Path:
    """Return config documents with a check, a heartbeat, people on call and a maintenance window to show."""
    config = config_without_cpu(work)
    document = config / "health_monitor.json"
    health = json.loads(document.read_text())
    health["monitoring"] |= {
        "checks": {"mail-server": {"tcp": f"127.0.0.1:{port}"}},
        "heartbeats": {"5b0e7d3f1c9a4826e4f7": {"name": "nightly-settlement", "cron": "0 3 * * *"}},
    }
    document.write_text(json.dumps(health, indent=2))
    with (config / "notifications.yml").open("a") as file:
        file.write(_ON_CALL)
    return config


_ON_CALL = """
people:
  ann: { contacts: [email] }
  bob: { contacts: [email] }
rotations:
  week: { people: [ann, bob], every: weekly, begins: 2026-01-05, at: "09:00", timeZone: Europe/Berlin }
policies:
  night:
    steps:
      - { notify: [week] }
      - { notify: [ann, bob], after: 15m }
routes:
  - { match: { category: PERFORMANCE }, policy: night }
maintenance:
  - { name: exchange maintenance, match: { category: CONNECTIVITY }, cron: "0 6 * * 3", duration: 2h }
"""


def find_emails(mails: list[bytes]) -> list[EmailMessage]:
    """Return the e-mails about the demo bot's drawdown that have a chart, oldest first."""
    emails = [message_from_bytes(raw, policy=default) for raw in mails]
    return [email for email in emails if IS_WANTED.search(str(email["Subject"])) and charts_of(email)]


def charts_of(email: EmailMessage) -> list[Message]:
    """Return the charts that an e-mail has."""
    return [part for part in email.walk() if part.get_content_type() == "image/png"]


def add_user(stack: BotwatchProcess) -> str:
    """Add an admin, and return the password."""
    password = secrets.token_urlsafe()
    command = [sys.executable, "-m", "botwatch.cli", "user", "add", USER, "--role", "admin"]
    environ = {**os.environ, "BOTWATCH_HOME": str(stack.home)}
    subprocess.run(command, env=environ, input=password, text=True, check=True, timeout=60)
    return password


def photograph_login(browser: Chrome, address: str, password: str, folder: Path) -> None:
    """Take the login page, and sign in."""
    browser.set_window_size(*LOGIN_SIZE)
    browser.get(address)
    browser.find_element(By.ID, "name").send_keys(USER)
    browser.save_screenshot(str(folder / "login.png"))
    browser.find_element(By.ID, "password").send_keys(password)
    browser.find_element(By.CSS_SELECTOR, "button[type=submit]").click()


def photograph_views(browser: Chrome, address: str, folder: Path) -> None:
    """Take each view once the demo bot is there."""
    wait_until(lambda: BOT in text(browser, "main"), "the demo bot is on the page", timeout_s=60)
    folder.mkdir(exist_ok=True)
    wait_until(lambda: browser.find_elements(By.CSS_SELECTOR, ".verdict li a"), "an alert is listed")
    alert = browser.execute_script("return document.querySelector('.verdict li a').pathname.split('/').pop()")
    for name, path in VIEWS:
        for size, colours, ending in (
            (DESK, "light", ""),
            *(((PHONE, "light", "-phone"),) if name in ON_A_PHONE else ()),
            *(((DESK, "dark", "-dark"),) if name in IN_THE_DARK else ()),
        ):
            show(browser, size, colours)
            browser.get(address + path.format(alert=alert).lstrip("/"))
            wait_until(lambda: text(browser, "main h1"), f"{path} is shown", timeout_s=30)
            time.sleep(SETTLED_S)
            picture = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "webp", "quality": 85})
            (folder / f"{name}{ending}.webp").write_bytes(base64.b64decode(picture["data"]))
    show(browser, DESK, "light")


def show(browser: Chrome, size: tuple[int, int], colours: str) -> None:
    """Show pages at a size, in `light` or `dark` colours."""
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"features": [{"name": "prefers-color-scheme", "value": colours}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)


def photograph_email(browser: Chrome, email: EmailMessage, work: Path, folder: Path) -> None:
    """Take the e-mail as a mail client shows its HTML, with the chart in its place."""
    html = email.get_body(("html",))
    [chart] = charts_of(email)
    assert html is not None
    picture = base64.b64encode(chart.get_payload(decode=True)).decode()  # type: ignore[arg-type]
    reference = f"cid:{str(chart['Content-ID']).strip('<>')}"
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    (work / "email.html").write_text(
        html.get_content().replace(reference, f"data:image/png;base64,{picture}")
    )
    browser.set_window_size(*EMAIL_SIZE)
    browser.get((work / "email.html").as_uri())
    height = browser.execute_script("return document.documentElement.scrollHeight")
    browser.set_window_size(EMAIL_SIZE[0], height + 40)
    browser.save_screenshot(str(folder / "email.png"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
