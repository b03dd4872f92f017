"""Links that act: who can make them, what they are good for, and for how long."""

import base64
import hashlib
import hmac
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from shared.runtime.signed_links import LIFETIME, InvalidLinkError, LinkClaim, SignedLinks, load_secret
from shared.schema.alerts import Alert, Details
from shared.schema.faults import InvalidError

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
SECRET = b"a secret of the tests"
BASE = "https://botwatch.example"
LINKS = SignedLinks(SECRET, BASE)


def an_alert(flaps: int = 0) -> Alert:
    return Alert(
        id="7d7b2a7e-2e0c-4c9c-9b36-0a4c3f0a4a55",
        timestamp=NOON,
        severity="HIGH",
        category="PERFORMANCE",
        component="alpha",
        message="Drawdown above 20%",
        status="ACTIVE",
        details=Details(
            rule="drawdown", metric="maxDrawdown", value=21, operator=">", threshold=20, flaps=flaps
        ),
        fingerprint="one",
        updated_at=NOON,
    )


def token(to: str = "anna", flaps: int = 0) -> str:
    return LINKS.acknowledge_url(an_alert(flaps), to, NOON).removeprefix(f"{BASE}/acknowledge/")


def signed(payload: bytes) -> str:
    said = base64.urlsafe_b64encode(payload).decode().rstrip("=")
    return f"{said}.{hmac.new(SECRET, said.encode(), hashlib.sha256).hexdigest()}"


def refusal(given: str, now: datetime = NOON) -> str:
    with pytest.raises(InvalidLinkError) as refused:
        LINKS.read(given, now)
    return refused.value.reason


def test_a_link_says_which_alert_which_time_and_for_whom() -> None:
    assert LINKS.read(token(flaps=3), NOON) == LinkClaim(an_alert().id, 3, "anna", NOON + LIFETIME)


def test_a_link_holds_until_a_day_has_passed() -> None:
    last = NOON + timedelta(hours=24) - timedelta(milliseconds=1)
    assert LINKS.read(token(), last).to == "anna"
    assert refusal(token(), NOON + timedelta(hours=24)) == "expired"


def test_the_slash_at_the_end_of_the_page_s_address_is_not_doubled() -> None:
    assert (
        SignedLinks(SECRET, f"{BASE}/")
        .acknowledge_url(an_alert(), "anna", NOON)
        .startswith(f"{BASE}/acknowledge/")
    )


@pytest.mark.parametrize(
    "name", ["a" * 128, "ü" * 128, "☂" * 128, "\U0001f4a5" * 128, "\x00" * 128, "\ud800" * 128]
)
def test_a_link_fits_in_a_text_message_however_long_the_name(name: str) -> None:
    made = token(name, flaps=70_000)
    assert len(f"https://monitoring.company.example:3001/acknowledge/{made}") < 300
    to = LINKS.read(made, NOON).to
    assert len(to.encode()) <= 64
    assert to in (name, name[: len(to)], "?" * 64)


@pytest.mark.parametrize("number", range(30))
def test_a_link_ends_in_a_letter_or_digit_and_needs_no_escapes(number: int) -> None:
    made = token("a" * number)
    assert made[-1].isalnum()
    assert made.replace(".", "").replace("-", "").replace("_", "").isalnum()


def test_a_link_that_was_changed_anywhere_is_forged() -> None:
    made = token()
    for index, character in enumerate(made):
        other = "A" if character != "A" else "B"
        assert refusal(made[:index] + other + made[index + 1 :]) == "forged", index


@pytest.mark.parametrize(
    "given", ["", ".", "x", "a.b", "é.é", "☂" * 99, "." * 5000, token() + ".", token()[:-1]]
)
def test_what_is_no_link_is_forged(given: str) -> None:
    assert refusal(given) == "forged"


def test_a_link_that_another_secret_signed_is_forged() -> None:
    foreign = SignedLinks(b"another secret", BASE).acknowledge_url(an_alert(), "anna", NOON)
    assert refusal(foreign.rpartition("/")[2]) == "forged"


@pytest.mark.parametrize(
    "payload",
    [
        msgspec.msgpack.encode(["resolve", an_alert().id, 0, "anna", NOON + LIFETIME]),
        msgspec.msgpack.encode([an_alert().id, 0, "anna", NOON + LIFETIME]),
        msgspec.msgpack.encode(["acknowledge", an_alert().id]),
        b"\xff garbage",
    ],
)
def test_what_was_signed_for_another_purpose_does_not_acknowledge(payload: bytes) -> None:
    assert refusal(signed(payload)) == "else"


def test_the_secret_is_made_once_for_its_owner_s_eyes_only(tmp_path: Path) -> None:
    made = load_secret(tmp_path, {})
    assert len(made) == 32
    assert load_secret(tmp_path, {"BOTWATCH_SECRET": ""}) == made
    path = tmp_path / "data" / "link.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]
    assert load_secret(tmp_path / "other", {}) != made


def test_whoever_asks_for_the_secret_at_once_gets_the_same(tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def ask(home: Path) -> bytes:
        together.wait(timeout=30)
        return load_secret(home, {})

    with ThreadPoolExecutor(4) as pool:
        for number in range(50):
            found = set(pool.map(ask, [tmp_path / str(number)] * 4))
            assert found == {(tmp_path / str(number) / "data" / "link.key").read_bytes()}


def test_a_given_secret_goes_before_the_file_and_makes_none(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file, long enough\n", encoding="utf-8")
    assert load_secret(tmp_path, {"BOTWATCH_SECRET": "from the environment"}) == b"from the environment"
    environ = {"BOTWATCH_SECRET_FILE": str(tmp_path / "secret")}
    assert load_secret(tmp_path, environ) == b"from a file, long enough"
    assert not (tmp_path / "data").exists()


def test_an_unusable_secret_is_rejected_without_showing_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidError) as refused:
        load_secret(tmp_path, {"BOTWATCH_SECRET": "too short"})
    assert str(refused.value) == "BOTWATCH_SECRET: expected at least 16 characters"
    (tmp_path / "binary").write_bytes(b"\xff" * 32)
    with pytest.raises(InvalidError) as refused:
        load_secret(tmp_path, {"BOTWATCH_SECRET_FILE": str(tmp_path / "binary")})
    assert str(refused.value) == "BOTWATCH_SECRET_FILE: expected UTF-8 text"
    with pytest.raises(FileNotFoundError):
        load_secret(tmp_path, {"BOTWATCH_SECRET_FILE": str(tmp_path / "nothing")})


def test_a_key_file_that_was_cut_is_refused_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "data" / "link.key"
    path.parent.mkdir()
    path.write_bytes(b"short")
    with pytest.raises(InvalidError, match="expected 32 bytes, got 5"):
        load_secret(tmp_path, {})
    assert path.read_bytes() == b"short"
