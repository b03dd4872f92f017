"""What `notifications.yml` may say, and how a mistake in it is told."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.runtime.config.documents import load_document
from shared.runtime.config.notifications import EmailConfig, Notifications
from shared.runtime.settings import REPOSITORY
from shared.schema.faults import Fault, InvalidError, struct_faults

CHANNELS = 'channels: { desk: { url: "http://127.0.0.1/" }, phone: { url: "http://127.0.0.1/" } }\n'


def faults(folder: Path, text: str) -> list[Fault]:
    """Return the faults of a document, with paths that begin at its root."""
    path = folder / "notifications.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidError) as raised:
        load_document(path, Notifications, {})
    prefix = f"{path}: "
    return [Fault(fault.path.removeprefix(prefix), fault.message) for fault in raised.value.faults]


def routes(text: str) -> str:
    return f"{CHANNELS}policies: {{ night: {{ steps: [{{ notify: [desk] }}] }} }}\nroutes: [{text}]"


def policy(text: str) -> str:
    return f"{CHANNELS}policies: {{ night: {{ {text} }} }}"


def rotation(text: str) -> str:
    return f"{CHANNELS}people: {{ ann: {{ contacts: [desk] }} }}\nrotations: {{ week: {{ {text} }} }}"


def test_the_example_documents_are_valid(tmp_path: Path) -> None:
    path = tmp_path / "notifications.yml"
    path.write_text("""
channels:
  desk:  { url: "${SLACK_URL}" }
  phone: { url: "tgram://…", fallback: desk }
  ops:   { type: webhook, url: "https://…", format: alertmanager, secret: "${HOOK_SECRET}" }
routes:
  - match: { severity: [CRITICAL, HIGH] }
    policy: night
    groupBy: [rule]
    groupWait: 0s
    groupInterval: 1m
    repeat: 1h
    during: { from: "22:00", until: "07:00", days: [sat, sun], timeZone: Europe/Berlin }
  - channels: [desk, week, ann]
    repeat: { CRITICAL: 1h, LOW: 0 }
    quiet: { from: "22:00", until: "07:00" }
policies:
  night:
    rounds: 2
    steps: [{ after: 0s, notify: [desk] }, { after: 5m, notify: [phone, week], raiseSeverity: true }]
people: { ann: { contacts: [phone, email] } }
rotations:
  week: { people: [ann], begins: 2026-01-05 }
  day: { people: [ann], begins: 2026-01-05, every: daily, at: "08:00", timeZone: Europe/Berlin }
  shift: { people: [ann], begins: 2026-01-05, every: 12h }
""")
    document = load_document(path, Notifications, {})
    assert [rotation.every for rotation in document.rotations.values()] == ["weekly", "daily", "12h"]
    shipped = REPOSITORY / "deploy" / "config" / "notifications.yml"
    assert load_document(shipped, Notifications, {}).channels


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (
            routes("{ policy: nigth }"),
            "$.routes[0].policy",
            "expected a policy, got 'nigth'; did you mean `night`?",
        ),
        (
            routes("{ channels: [desk] }, { routes: [{ channels: [desk, fone] }] }"),
            "$.routes[1].routes[0].channels",
            "expected a channel, a person or a rotation, got 'fone'; did you mean `phone`?",
        ),
        (routes("{ policy: desk }"), "$.routes[0].policy", "expected a policy, got 'desk'"),
        (
            policy("steps: [{ notify: [desk] }, { after: 1m, notify: [nobody] }]"),
            "$.policies.night.steps[1].notify",
            "expected a channel, a person or a rotation, got 'nobody'",
        ),
        (
            'channels: { desk: { url: "http://127.0.0.1/", fallback: emial } }',
            "$.channels.desk.fallback",
            "expected a channel, got 'emial'; did you mean `email`?",
        ),
        (
            rotation("people: [ann], begins: 2026-01-05") + "\nroutes: [{ channels: [weak] }]",
            "$.routes[0].channels",
            "expected a channel, a person or a rotation, got 'weak'; did you mean `week`?",
        ),
        (
            f"{CHANNELS}people: {{ ann: {{ contacts: [desk, ann] }} }}",
            "$.people.ann.contacts",
            "expected a channel, got 'ann'",
        ),
        (
            rotation("people: [ann, anne], begins: 2026-01-05"),
            "$.rotations.week.people",
            "expected one of `people`, got 'anne'; did you mean `ann`?",
        ),
        (
            rotation(
                "people: [ann], begins: 2026-01-05, overrides: "
                "[{ person: bob, from: 2026-01-05T00:00:00Z, until: 2026-01-06T00:00:00Z }]"
            ),
            "$.rotations.week.overrides[0].person",
            "expected one of `people`, got 'bob'",
        ),
    ],
)
def test_an_undefined_name_is_rejected_with_path_and_suggestion(
    text: str, path: str, message: str, tmp_path: Path
) -> None:
    assert faults(tmp_path, text) == [Fault(path, message)]


@pytest.mark.parametrize(
    ("fallbacks", "path", "circle"),
    [
        ({"desk": "desk"}, "desk", "desk → desk"),
        ({"desk": "phone", "phone": "ops", "ops": "desk"}, "desk", "desk → phone → ops → desk"),
        ({"desk": "phone", "phone": "ops", "ops": "phone"}, "desk", "desk → phone → ops → phone"),
    ],
)
def test_fallbacks_must_not_lead_round_in_a_circle(
    fallbacks: dict[str, str], path: str, circle: str, tmp_path: Path
) -> None:
    entries = ", ".join(f'{name}: {{ url: "x", fallback: {to} }}' for name, to in fallbacks.items())
    assert faults(tmp_path, f"channels: {{ {entries} }}") == [
        Fault(f"$.channels.{path}.fallback", f"circular fallback: {circle}")
    ]


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        (routes("{ channels: [desk], policy: night }"), "$.routes[0]", "either `channels` or `policy`"),
        (
            routes("{ match: { severity: CRITCAL } }"),
            "$.routes[0].match.severity",
            "did you mean `CRITICAL`?",
        ),
        (
            routes("{ match: { severity: [LOW, high] } }"),
            "$.routes[0].match.severity",
            "did you mean `HIGH`?",
        ),
        (
            routes("{ routes: [{ match: { category: BOT } }] }"),
            "$.routes[0].routes[0].match.category",
            "got 'BOT'",
        ),
        (routes("{ groupBuy: [rule] }"), "$.routes[0].groupBuy", "did you mean `groupBy`?"),
        (routes("{ repeat: { HGIH: 1h } }"), "$.routes[0].repeat.HGIH", "did you mean `HIGH`?"),
        (routes("{ repeat: often }"), "$.routes[0].repeat", "a duration such as 30s"),
        (routes("{ repeat: 9999w }"), "$.routes[0].repeat", "at most 366d, got '9999w'"),
        (routes("{ repeat: 1ms }"), "$.routes[0].repeat", "at least 1s, or 0 for never"),
        (routes("{ repeat: { LOW: 1ms } }"), "$.routes[0].repeat.LOW", "at least 1s, or 0 for never"),
        (routes("{ match: { severity: [] } }"), "$.routes[0].match[...]", "length >= 1"),
        (routes("{ groupWait: .inf }"), "$.routes[0].groupWait", "at most 366d"),
        (routes("{ repeat: { LOW: 367d } }"), "$.routes[0].repeat.LOW", "at most 366d"),
        (routes("{ quiet: { from: 22:30, until: 07:00 } }"), "$.routes[0].quiet.from", 'such as "09:00"'),
        (
            routes('{ during: { from: "24:00", until: "07:00" } }'),
            "$.routes[0].during.from",
            'such as "09:00"',
        ),
        (
            routes('{ during: { from: "22:00", until: "07:00", timeZone: Europe/Berln } }'),
            "$.routes[0].during.timeZone",
            "did you mean `Europe/Berlin`?",
        ),
        (
            routes('{ during: { from: "22:00", until: "07:00", days: [mon, tus] } }'),
            "$.routes[0].during.days[1]",
            "did you mean `tue`?",
        ),
        (
            routes("{ name: a }, { routes: [{ name: a }] }"),
            "$.routes[1].routes[0].name",
            "different names, got 'a'",
        ),
        (routes("{ name: default }"), "$.routes[0].name", "got 'default' twice"),
        (routes('{ name: "routes[1]" }, { channels: [desk] }'), "$.routes[1].name", "got 'routes[1]' twice"),
        (
            policy("steps: [{ after: 5m, notify: [desk] }, { after: 60s, notify: [phone] }]"),
            "$.policies.night.steps",
            "ascending order of `after`",
        ),
        (policy("steps: []"), "$.policies.night.steps", "length >= 1"),
        (policy("steps: [{ notify: [] }]"), "$.policies.night.steps[0].notify", "length >= 1"),
        (policy("steps: [{ after: 2y, notify: [desk] }]"), "$.policies.night.steps[0].after", "a duration"),
        (
            policy("steps: [{ after: 367d, notify: [desk] }]"),
            "$.policies.night.steps[0].after",
            "at most 366d",
        ),
        (policy("steps: [{ notify: [desk] }], rounds: 0"), "$.policies.night.rounds", ">= 1"),
        (policy("steps: [{ notify: [desk] }], rounds: 9, pause: 0"), "$.policies.night.pause", "at least 1s"),
        (
            policy("steps: [{ notify: [desk] }], acknowledgeTimeout: 0"),
            "$.policies.night.acknowledgeTimeout",
            "than 0",
        ),
        (rotation("people: [], begins: 2026-01-05"), "$.rotations.week.people", "length >= 1"),
        (rotation("people: [ann]"), "$.rotations.week.begins", "required, but missing"),
        (rotation("people: [ann], begins: 1999-12-31"), "$.rotations.week.begins", "the years 2000 to 2099"),
        (rotation("people: [ann], begins: 2026-01-05, every: 59m"), "$.rotations.week.every", "at least 1h"),
        (
            rotation("people: [ann], begins: 2026-01-05, every: .inf"),
            "$.rotations.week.every",
            "at most 366d",
        ),
        (
            rotation("people: [ann], begins: 2026-01-05, every: monthly"),
            "$.rotations.week.every",
            "daily, weekly",
        ),
        (
            rotation(
                "people: [ann], begins: 2026-01-05, overrides: "
                "[{ person: ann, from: 2026-01-06T00:00:00Z, until: 2026-01-06T00:00:00Z }]"
            ),
            "$.rotations.week.overrides[0].until",
            "a time after `from`",
        ),
        (
            f"{CHANNELS}people: {{ desk: {{ contacts: [phone] }} }}",
            "$",
            "expected different names for channels, people and rotations, got 'desk'",
        ),
        (
            'channels: { ann: { url: "x", email: { smtp: a, from: b, to: [c] } } }',
            "$.channels.ann",
            "either `url` or `email`",
        ),
        ('channels: { ops: { url: "x", type: slack, secret: s } }', "$.channels.ops", "to webhooks only"),
        ("watchdog: { every: 1s }", "$.watchdog.every", "at least"),
        ("watchdog: { url: hc-ping.com/x }", "$.watchdog.url", "expected a URL such as https://host/path"),
        (
            "watchdog: { url: 'https://h:99999/x' }",
            "$.watchdog.url",
            "expected a URL such as https://host/path",
        ),
        (
            "maintenance: [{ name: m, match: { severity: BAD }, cron: '0 2 * * *', duration: 1h }]",
            "$.maintenance[0].match.severity",
            "expected one of CRITICAL",
        ),
        (
            "maintenance: [{ name: m, cron: '0 2 * * *', duration: 999w }]",
            "$.maintenance[0].duration",
            "366d",
        ),
        (
            "inhibit: [{ source: { severity: LOWW }, target: { bot: a } }]",
            "$.inhibit[0].source.severity",
            "did you mean `LOW`?",
        ),
    ],
)
def test_an_implausible_value_is_rejected_with_its_path(
    text: str, path: str, words: str, tmp_path: Path
) -> None:
    (fault,) = faults(tmp_path, text)
    assert fault.path == path
    assert words in fault.message


def test_the_examples_of_the_documentation_are_sound() -> None:
    text = (REPOSITORY / "docs" / "notices.md").read_text(encoding="utf-8")
    sections = [part for part in text.split("\n## ") if part.startswith(("Routes", "Escalation", "People"))]
    assert len(sections) == 3
    names = ("desk", "ops", "phone-of-ann", "mail-of-ann", "phone-of-bob")
    merged: dict[str, Any] = {"channels": {name: {"url": "http://127.0.0.1/"} for name in names}}
    for section in sections:
        (example,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
        merged |= msgspec.yaml.decode(example)
    assert struct_faults(merged, Notifications) == []


def test_a_zero_pause_is_valid_with_one_round_or_a_later_start() -> None:
    for text in ("steps: [{ after: 5m, notify: [desk] }], rounds: 3", "steps: [{ notify: [desk] }]"):
        found = msgspec.yaml.decode(policy(f"{text}, pause: 0"), type=Notifications)
        assert found.policies["night"].pause == 0


def test_severities_may_be_patterns() -> None:
    found = msgspec.yaml.decode(routes('{ match: { severity: "[CH]*", category: "*" } }'), type=Notifications)
    assert found.routes[0].match["severity"] == "[CH]*"


def test_a_channel_whose_name_holds_dots_and_blanks_is_pointed_at(tmp_path: Path) -> None:
    text = 'channels: { "my chat.v2": { url: "x", fallback: none } }'
    assert [fault.path for fault in faults(tmp_path, text)] == ["$.channels.my chat.v2.fallback"]


@pytest.mark.parametrize(
    ("smtp", "expected"),
    [
        ("", ("", 587)),
        ("mail.example.org", ("mail.example.org", 587)),
        ("mail.example.org:465", ("mail.example.org", 465)),
        ("[::1]:25", ("::1", 25)),
        ("[::1]", ("::1", 587)),
        ("::1", ("::1", 587)),
    ],
)
def test_a_mail_server_is_a_host_or_a_host_and_a_port(smtp: str, expected: tuple[str, int]) -> None:
    """So one variable of the environment says where it is."""
    config = EmailConfig(smtp=smtp, sender="a@b.example", to=["c@d.example"])
    assert (config.smtp, config.port) == expected


@pytest.mark.parametrize("smtp", ["mail.example.org:smtp", "mail.example.org:0", ":25", "mail:70000"])
def test_a_mail_server_with_another_port_is_refused(smtp: str) -> None:
    """The value and what was expected are named."""
    with pytest.raises(ValueError, match=f"expected a host or host:port .*, got '{smtp}'"):
        EmailConfig(smtp=smtp, sender="a@b.example", to=["c@d.example"])
