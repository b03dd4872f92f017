"""Which channels reach whom."""

import pytest

from services.notifier.planning.recipients import Recipient, Recipients
from shared.runtime.config.notifications import EmailConfig
from tests.unit.notifier.config import MAIL, NOON, documents, utc

TEXT = """
channels:
  desk: { url: "http://127.0.0.1/" }
  phone: { url: "http://127.0.0.1/", fallback: pager }
  pager: { url: "http://127.0.0.1/", fallback: desk }
  dark: { url: "", fallback: broken }
  broken: { url: "", fallback: phone }
  gone: { url: "" }
people:
  ann: { contacts: [phone] }
  bob: { contacts: [desk, phone] }
  cyd: { contacts: [gone, desk, dark] }
  dan: { contacts: [gone] }
  eve: { contacts: [phone, pager, phone] }
rotations:
  week:
    people: [ann, bob]
    begins: 2026-01-05
    overrides: [{ person: dan, from: 2026-02-16T09:00:00Z, until: 2026-02-17T09:00:00Z }]
"""


def recipients(*names: str, at: str = "2026-01-31T12:00") -> list[Recipient]:
    return Recipients.from_documents(documents(TEXT, email_config=MAIL)).resolve(names, utc(at))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("desk", Recipient("desk")),
        ("phone", Recipient("phone", ("pager", "desk"))),
        ("email", Recipient("email")),
        # Switched off: what stands in for it.
        ("broken", Recipient("phone", ("pager", "desk"))),
        ("dark", Recipient("phone", ("pager", "desk"))),
        # A person's further ways go first, then the fallbacks of the last.
        ("ann", Recipient("phone", ("pager", "desk"), "ann")),
        ("bob", Recipient("desk", ("phone", "pager"), "bob")),
        ("cyd", Recipient("desk", ("phone", "pager"), "cyd")),
        ("eve", Recipient("phone", ("pager", "desk"), "eve")),
    ],
)
def test_a_name_stands_for_a_channel_and_what_is_tried_after_it(name: str, expected: Recipient) -> None:
    assert recipients(name) == [expected]


@pytest.mark.parametrize("name", ["gone", "webhook", "dan", "nobody knows it any more"])
def test_who_has_no_channel_that_is_switched_on_is_left_out(name: str) -> None:
    assert recipients(name, "desk") == [Recipient("desk")]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-01-05T09:00", [Recipient("phone", ("pager", "desk"), "ann")]),
        ("2026-01-12T09:00", [Recipient("desk", ("phone", "pager"), "bob")]),
        ("2026-02-16T09:00", []),
    ],
)
def test_a_rotation_stands_for_whoever_is_on_call(at: str, expected: list[Recipient]) -> None:
    assert recipients("week", at=at) == expected


def test_each_channel_is_told_once_as_it_was_named_first() -> None:
    assert recipients("desk", "bob", "phone", "ann", "broken", "email") == [
        Recipient("desk"),
        Recipient("phone", ("pager", "desk")),
        Recipient("email"),
    ]


def test_nobody_is_told_where_alerts_are_switched_off() -> None:
    directory = Recipients.from_documents(documents(TEXT, enabled=False, email_config=MAIL))
    assert directory.resolve(["desk", "ann", "week", "email"], NOON) == []


def test_a_mailbox_without_a_server_is_switched_off() -> None:
    unset = EmailConfig(smtp="", sender="a@b.example", to=["c@d.example"])
    assert Recipients.from_documents(documents(email_config=unset)).resolve(["email"], NOON) == []
