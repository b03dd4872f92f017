"""Templates: the user's are tried at the start, and never cost a notice; what HTML makes of records."""

from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from selenium.webdriver import Chrome
from structlog.testing import capture_logs

from services.notifier.content.message import NotificationMessage
from services.notifier.content.rendering import NotificationContent
from services.notifier.content.sample_messages import sample_views
from services.notifier.content.templates import NAMES, Templates
from shared.schema.alerts import Notice
from shared.schema.faults import InvalidError
from tests.unit.dashboard.browser import in_browser
from tests.unit.notifier.fake_receivers import NOON, make_external_notice, make_notice

ACKNOWLEDGE = "https://botwatch.example/acknowledge/abc?a=1&b=2"
FURTHEST = """
const ends = [...document.querySelectorAll("*")].map((one) => one.getBoundingClientRect().right)
return Math.max(...ends)
"""


def content(folder: Path) -> NotificationContent:
    return NotificationContent(Templates.load(folder), lambda *_: [], lambda _notice: ACKNOWLEDGE)


def message(*notices: Notice, **further: Any) -> NotificationMessage:
    return NotificationMessage(notices or (make_notice(),), "key", NOON, **further)


def fault_of(folder: Path, name: str, source: str | bytes) -> str:
    """Return what is said of a file as template."""
    path = folder / name
    path.write_bytes(source if isinstance(source, bytes) else source.encode())
    with pytest.raises(InvalidError) as refusal:
        Templates.load(folder)
    [fault] = refusal.value.faults
    assert fault.path == str(path)
    assert "\n" not in fault.message
    return fault.message


def test_built_in_templates_render_every_message(tmp_path: Path) -> None:
    for templates in (Templates.load(tmp_path), Templates.load(tmp_path / "none")):
        assert all(templates.render(name, message).strip() for message in sample_views() for name in NAMES)


def test_a_template_of_the_folder_takes_the_place_of_the_built_in_one(tmp_path: Path) -> None:
    (tmp_path / "subject.txt").write_text("{{ alert.name }}:\n {{ alert.value }} & {{ message.total }}\n")
    assert content(tmp_path).subject(message()) == "demo: 21.3% & 1"
    assert content(tmp_path).text(message()).startswith("Maximum drawdown exceeded 20%\n")


def test_an_external_alert_is_told_with_its_description_and_source(tmp_path: Path) -> None:
    notice = make_external_notice()
    text = content(tmp_path).text(message(notice))
    assert text.startswith(
        "Disk full\n\n97% of /data are used.\n\nComponent: db1:9100\nSeverity: CRITICAL (resource)"
    )
    assert "Source: https://prometheus.example/graph\n" in text
    assert "limit" not in text
    html = content(tmp_path).html(message(notice), None)
    assert "97% of /data are used." in html
    assert "https://prometheus.example/graph" in html


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("\n{% if alert.flaps %}", "line 2: Unexpected end of template"),
        ("a\n\n{{ alert.severety }}", "line 3: "),
        (
            "{% if message.total > 1000 %}\n{{ mesage.late }}\n{% endif %}x",
            "line 2: unknown variable 'mesage'",
        ),
        ("{{ alert.name | shout }}", "line 1: No filter named 'shout'"),
        ("x\n{{ alert.flaps / 0 }}", "line 2: division by zero"),
        ("{{ alert.__class__.__mro__ }}", "line 1: access to attribute '__class__'"),
        ("{{ ''.join(['x'] * 9).__init__.__globals__ }}", "line 1: access to attribute '__init__'"),
        ("{% include 'text.txt' %}", "line 1: no loader"),
        ("{% if message.late %}late{% endif %}\n", "template produces no output"),
        (b"\xff\xfe", "expected UTF-8 text"),
    ],
)
def test_a_mistake_is_found_at_the_start_with_its_line(
    tmp_path: Path, source: str | bytes, expected: str
) -> None:
    assert fault_of(tmp_path, "text.txt", source).startswith(expected)


def test_a_name_that_is_nearly_right_is_told(tmp_path: Path) -> None:
    assert fault_of(tmp_path, "text.txt", "{{ alrt.name }}").endswith("; did you mean `alert`?")


def test_a_file_that_is_no_template_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    expected = "unknown template, expected one of subject.txt, text.txt, mail.html; did you mean `mail.html`?"
    assert fault_of(tmp_path, "mails.html", "x") == expected


def test_a_folder_in_place_of_a_template_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.txt").mkdir()
    with pytest.raises(InvalidError, match="cannot be read"):
        Templates.load(tmp_path)


def test_every_fault_is_told_at_once_and_hidden_files_are_none(tmp_path: Path) -> None:
    (tmp_path / ".mail.html.swp").write_text("{{")
    (tmp_path / "mail.html").write_text("{{")
    (tmp_path / "text.txt").write_text("{{ nothing }}")
    with pytest.raises(InvalidError) as refusal:
        Templates.load(tmp_path)
    assert [Path(fault.path).name for fault in refusal.value.faults] == ["mail.html", "text.txt"]


def test_failing_template_is_replaced_by_the_built_in_one(tmp_path: Path) -> None:
    source = "hello\n{% if alert.name == 'demo' %}{{ alert.acknowledge | list | first + 1 }}{% endif %}"
    (tmp_path / "text.txt").write_text(source)
    with capture_logs() as logs:
        text = content(tmp_path).text(message())
    assert text == content(tmp_path / "none").text(message())
    assert logs == [
        {
            "event": "template failed; using the built-in one",
            "log_level": "error",
            "template": "text.txt",
            "line": 2,
            "error": "TypeError",
        }
    ]


class Reader(HTMLParser):
    """Reads a mail: its text, its links, and whatever would be fetched from elsewhere."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.handlers: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append(tag)
        for name, value in attrs:
            if name == "href":
                self.links.append(value or "")
            if name in ("src", "background"):
                self.sources.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_data(self, data: str) -> None:
        """Note a text."""
        if data.strip():
            self.texts.append(data.strip())


def read(*notices: Notice, chart: str | None = None, **further: Any) -> Reader:
    return Reader(content(Path("/none")).html(message(*notices, **further), chart))


def test_the_html_leads_to_acknowledging_the_page_and_the_runbook() -> None:
    links = make_notice().details.links | {"runbook": "https://botwatch.example/runbooks/drawdown"}
    mail = read(make_notice(details=msgspec.structs.replace(make_notice().details, links=links)))
    assert mail.links == [ACKNOWLEDGE, links["runbook"], links["alert"]]
    assert {"Acknowledge", "Maximum drawdown exceeded 20%", "21.3%", "Drawdown max"} <= set(mail.texts)


def test_the_html_of_the_end_has_no_button_to_acknowledge() -> None:
    mail = read(make_notice("resolved", resolved_at=NOON + timedelta(minutes=5)))
    assert "RESOLVED" in mail.texts
    assert ACKNOWLEDGE not in mail.links


def test_the_html_shows_the_chart_where_there_is_one() -> None:
    assert read(make_notice(), chart="cid:chart").sources == ["cid:chart"]
    assert "img" not in read(make_notice()).tags


def test_the_html_of_a_test_says_so_first() -> None:
    words = "This is a test message. No action needed."
    visible = read(make_notice(), is_test=True).texts
    assert words in visible[:3]
    assert words not in read(make_notice()).texts


def test_the_html_of_several_alerts_lists_each_with_its_links() -> None:
    told = [make_notice(alert=f"a{n}", component=f"bot-{n}") for n in range(51)]
    mail = read(*told)
    assert sum(link == ACKNOWLEDGE for link in mail.links) == 20
    assert "and 31 more" in mail.texts


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' style='background:url(//evil.example)",
    "{{ 7 * 7 }}{% raw %}",
    "</title></table><iframe src=//evil.example>",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_a_record_becomes_html(text: str) -> None:
    details = msgspec.structs.replace(
        make_notice().details, bot=text, metric=text, rule=text, labels={"venue": text}, flaps=1
    )
    plain = make_notice(
        assignee="x",
        comment="x",
        details=msgspec.structs.replace(make_notice().details, labels={"x": "x"}, flaps=1),
    )
    told = make_notice(message=text, component=text, comment=text, assignee=text, details=details)
    for hostile, harmless in (
        (read(told), read(plain)),
        (
            read(told, msgspec.structs.replace(told, id="b")),
            read(plain, msgspec.structs.replace(plain, id="b")),
        ),
    ):
        assert hostile.tags == harmless.tags
        assert hostile.links == harmless.links
        assert not hostile.sources
        assert not hostile.handlers
        assert any(text in found for found in hostile.texts)


def test_the_html_asks_nothing_of_anybody_else() -> None:
    html = content(Path("/none")).html(message(), "cid:chart")
    assert "url(" not in html
    assert "@import" not in html
    assert not {"link", "script", "iframe", "object", "form"} & set(Reader(html).tags)


@in_browser
def test_email_fits_a_phone_and_dark_mode_with_any_content(browser: Chrome, tmp_path: Path) -> None:
    long = "W" * 3000
    details = msgspec.structs.replace(make_notice().details, bot=long, metric=long, labels={"venue": long})
    told = make_notice(message=HOSTILE[1] + long, details=details, comment="تنبيه 🚨")
    page = tmp_path / "mail.html"
    page.write_text(content(tmp_path / "none").html(message(told), None), encoding="utf-8")
    for scheme, ground in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(21, 27, 37)")):
        for width in (360, 800):
            screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
            media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
            browser.get(page.as_uri())
            assert browser.execute_script(FURTHEST) <= width
            script = "return getComputedStyle(document.querySelector('.panel')).backgroundColor"
            assert browser.execute_script(script) == ground
            assert not browser.execute_script("return document.images.length")
