"""Screenshots for the README: `python -m tests.screenshots FOLDER` takes them from a running demo.

It runs `botwatch up --demo` on free ports in a temporary folder, with a user and a mail server on loopback,
waits for an alert with a chart, and writes `login.png`, `page.png` (the page of an operator) and `email.png`
(the e-mail about the alert). The host's CPU is not checked: this is what keeps it busy.
"""

import base64
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
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
PAGE_SIZE = (1280, 1000)
EMAIL_SIZE = (700, 900)


def main(folder: Path) -> None:
    """Write the screenshots to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, run_receivers() as receivers:
        work = Path(name)
        mail = {
            "ALERT_SMTP": f"127.0.0.1:{receivers.smtp_port}",
            "ALERT_SMTP_SECURITY": "none",
            "ALERT_EMAIL_FROM": "botwatch@example.com",
            "ALERT_EMAIL_TO": "ann@example.com",
        }
        with (
            botwatch_up(work, config_without_cpu(work), demo=True, ACCESS="required", **mail) as stack,
            chromium(work / "profile") as browser,
        ):
            wait_until(lambda: find_emails(receivers.mails), "an e-mail with a chart", timeout_s=240)
            address = f"http://127.0.0.1:{stack.ports['DASHBOARD_PORT']}/"
            photograph_login(browser, address, add_user(stack), folder)
            photograph_page(browser, address, folder)
            photograph_email(browser, find_emails(receivers.mails)[0], work, folder)


def config_without_cpu(work: Path) -> Path:
    """Copy the config documents, without the check of the CPU."""
    config = shutil.copytree(REPOSITORY / "deploy" / "config", work / "config")
    document = config / "health_monitor.json"
    document.write_text(document.read_text().replace('"cpu", "memory"', '"memory"'))
    return config


def find_emails(mails: list[bytes]) -> list[EmailMessage]:
    """Return the e-mails about the demo bot's drawdown that have a chart, oldest first."""
    emails = [message_from_bytes(raw, policy=default) for raw in mails]
    return [email for email in emails if IS_WANTED.search(str(email["Subject"])) and charts_of(email)]


def charts_of(email: EmailMessage) -> list[Message]:
    """Return the charts that an e-mail has."""
    return [part for part in email.walk() if part.get_content_type() == "image/png"]


def add_user(stack: BotwatchProcess) -> str:
    """Add an operator, and return the password."""
    password = secrets.token_urlsafe()
    command = [sys.executable, "-m", "botwatch.cli", "user", "add", USER, "--role", "operator"]
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


def photograph_page(browser: Chrome, address: str, folder: Path) -> None:
    """Take the page once the demo bot and its chart are there."""
    browser.set_window_size(*PAGE_SIZE)
    browser.get(address)
    wait_until(lambda: BOT in text(browser, "body"), "the demo bot is on the page", timeout_s=60)
    wait_until(lambda: "now" in text(browser, ".chart"), "the bot's chart is drawn", timeout_s=60)
    browser.save_screenshot(str(folder / "page.png"))


def photograph_email(browser: Chrome, email: EmailMessage, work: Path, folder: Path) -> None:
    """Take the e-mail as a mail client shows its HTML, with the chart in its place."""
    html = email.get_body(("html",))
    [chart] = charts_of(email)
    assert html is not None
    picture = base64.b64encode(chart.get_payload(decode=True)).decode()  # type: ignore[arg-type]
    reference = f"cid:{str(chart['Content-ID']).strip('<>')}"
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
