"""Real lines of sshd, su, login and PAM, and what strangers may write into them by the name they give."""

import pytest

from services.collector.checks.security.auth_log import (
    MAX_CONNECTIONS,
    AuthMessage,
    FailedLogin,
    FailedLogins,
    parse_lines,
)

EVIL = "198.51.100.66"
"""An address that only ever stands in a user name."""
REAL = "203.0.113.7"
PAM = "Nov 22 16:08:12 box vsftpd[9]: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 tty=ftp "


def failures(*lines: str) -> list[FailedLogin]:
    return FailedLogins().count_new(parse_lines("".join(f"{line}\n" for line in lines).encode()))


def sshd(text: str) -> str:
    """Return a line of sshd; an @ stands for the end that most have."""
    return f"Nov 22 16:08:12 box sshd[812]: {text.replace('@', f'from {REAL} port 5 ssh2')}"


@pytest.mark.parametrize(
    ("line", "failure"),
    [
        (
            "Nov  2 06:25:01 box sshd[12]: Failed password for root from 203.0.113.7 port 40022 ssh2",
            FailedLogin("root", REAL),
        ),
        (
            "2026-11-22T16:08:12.123456+00:00 box sshd: Failed password for x from 203.0.113.7 port 1 ssh2",
            FailedLogin("x", REAL),
        ),
        (
            "2026-11-22T16:08:12Z box sshd-session[12]: Failed password for bob from 2001:db8::7 port 1 ssh2",
            FailedLogin("bob", "2001:db8::7"),
        ),
        (sshd("Failed password for root from ::ffff:203.0.113.7 port 1 ssh2"), FailedLogin("root", REAL)),
        (sshd("Failed password for root from fe80::1%eth0 port 1 ssh2"), FailedLogin("root", "fe80::1%eth0")),
        (sshd("Failed keyboard-interactive/pam for invalid user x @"), FailedLogin("x", REAL)),
        (sshd("Failed publickey for root @: ED25519 SHA256:QWJj/+="), FailedLogin("root", REAL)),
        (sshd("Invalid user bob from 203.0.113.7 port 40022"), FailedLogin("bob", REAL)),
        (sshd("Invalid user  from 203.0.113.7 port 40022"), FailedLogin("", REAL)),
        (sshd("Invalid user bob from 203.0.113.7"), FailedLogin("bob", REAL)),
        (sshd("Connection closed by authenticating user x 203.0.113.7 port 5 "
            "[preauth]"), FailedLogin("x", REAL)),
        (sshd("Connection reset by invalid user bob 203.0.113.7 port 5 [preauth]"), FailedLogin("bob", REAL)),
        (sshd("Disconnected from authenticating user x 203.0.113.7 port 5 "
            "[preauth]"), FailedLogin("x", REAL)),
        (
            sshd("error: maximum authentication attempts exceeded for root @ [preauth]"),
            FailedLogin("root", REAL),
        ),
        (
            sshd("message repeated 5 times: [ Failed password for root @]"),
            FailedLogin("root", REAL, 5),
        ),
        (sshd("Failed password for root from UNKNOWN port 65535 ssh2"), FailedLogin("root", "")),
        ("Nov 22 16:08:12 box su[9]: FAILED SU (to root) bob on pts/0", FailedLogin("root", "")),
        ("Nov 22 16:08:12 box su: FAILED su for root by bob", FailedLogin("root", "")),
        (
            "Nov 22 16:08:12 box login[9]: FAILED LOGIN (2) on '/dev/tty1' FOR 'root', User not known",
            FailedLogin("root", ""),
        ),
        (
            "Nov 22 16:08:12 box login[9]: FAILED LOGIN 1 FROM 203.0.113.7 FOR root, Authentication failure",
            FailedLogin("root", REAL),
        ),
        (
            f"{PAM}ruser=bob rhost=203.0.113.7  user=bob",
            FailedLogin("bob", REAL),
        ),
    ],
)  # fmt: skip
def test_a_line_tells_who_failed_and_from_where(line: str, failure: FailedLogin) -> None:
    assert failures(line) == [failure]


@pytest.mark.parametrize(
    "text",
    [
        "Accepted publickey for bob @: ED25519 SHA256:QWJj",
        "Failed none for invalid user bob @",
        "Connection closed by 203.0.113.7 port 5 [preauth]",
        "Received disconnect from 203.0.113.7 port 5:11: Bye Bye [preauth]",
        "Disconnected from user bob 203.0.113.7 port 5",
        "banner exchange: Connection from 203.0.113.7 port 5: invalid format",
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7",
        "PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.7",
        "User bob from 203.0.113.7 not allowed because not listed in AllowUsers",
        "Postponed keyboard-interactive for root @ [preauth]",
    ],
)
def test_what_is_no_failed_login_or_tells_of_one_once_more_does_not_count(text: str) -> None:
    assert failures(sshd(text)) == []


@pytest.mark.parametrize(
    "name",
    [
        f"root from {EVIL} port 22",
        f"root from {EVIL} port 22 ssh2",
        f"x {EVIL} port 22",
        f"x {EVIL} port 22 [preauth]",
        f"a b  c from {EVIL}",
        f"x\\n#012Nov 22 16:08:12 box sshd[1]: Failed password for root from {EVIL} port 22 ssh2",
        f"\\033[2Jroot from {EVIL} port 1 ssh2: RSA SHA256:x",
        f"message repeated 999 times: [ Failed password for root from {EVIL} port 22 ssh2]",
        "y" * 10_240 + f" from {EVIL} port 22 ssh2",
        " from " * 1_500,
        "\N{RIGHT-TO-LEFT OVERRIDE}toor\udcff".encode(errors="replace").decode(),
        "",
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        "Failed password for invalid user {name} @",
        "Failed publickey for invalid user {name} @: RSA SHA256:QWJj",
        "Invalid user {name} from 203.0.113.7 port 40022",
        "Connection closed by invalid user {name} 203.0.113.7 port 40022 [preauth]",
        "Disconnected from invalid user {name} 203.0.113.7 port 40022 [preauth]",
        "error: maximum authentication attempts exceeded for invalid user {name} @ [preauth]",
        "message repeated 2 times: [ Failed password for invalid user {name} @]",
    ],
)  # fmt: skip
def test_the_address_is_never_taken_from_the_name(text: str, name: str) -> None:
    found = failures(sshd(text.format(name=name)))
    assert len(found) == 1
    # A key's line may leave it open, for something of the client's choice stands behind the address, too.
    assert found[0].source in ({REAL, ""} if "publickey" in text else {REAL})
    assert found[0].times == (2 if text.startswith("message") else 1)


@pytest.mark.parametrize(
    "line",
    [
        sshd(
            f"Failed publickey for root @: RSA-CERT SHA256:x ID a from {EVIL} port 1 ssh2: RSA SHA256:y"
            " (serial 0) CA RSA SHA256:z"
        ),
        f"{PAM}ruser=x rhost={EVIL} rhost=203.0.113.7  user=x",
    ],
)  # fmt: skip
def test_an_address_that_a_stranger_can_have_written_is_left_open(line: str) -> None:
    assert [failure.source for failure in failures(line)] == [""]


def test_a_name_in_a_change_of_the_name_is_no_address() -> None:
    text = "Disconnecting invalid user a 203.0.113.7 port 5: Change of username or service not allowed: "
    assert failures(sshd(text + f"(a,ssh) -> (b {EVIL} port 22,ssh) [preauth]")) == []


def test_the_lines_of_one_attempt_count_once() -> None:
    assert failures(
        sshd("Invalid user bob from 203.0.113.7 port 5"),
        sshd("pam_unix(sshd:auth): check pass; user unknown"),
        sshd("pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost="),
        sshd("Failed password for invalid user bob @"),
        sshd("Connection closed by invalid user bob 203.0.113.7 port 5 [preauth]"),
    ) == [FailedLogin("bob", REAL)]  # fmt: skip


def test_each_attempt_of_one_connection_counts() -> None:
    found = failures(
        sshd("Invalid user bob from 203.0.113.7 port 5"),
        sshd("Failed password for invalid user bob @"),
        sshd("message repeated 4 times: [ Failed password for invalid user bob @]"),
        sshd("Failed password for invalid user bob @"),
        sshd("error: maximum authentication attempts exceeded for invalid user bob @ [preauth]"),
        sshd("Disconnecting invalid user bob 203.0.113.7 port 5: Too many authentication failures [preauth]"),
    )  # fmt: skip
    assert sum(failure.times for failure in found) == 6


def test_lines_that_come_with_a_later_look_count_no_second_time() -> None:
    logins = FailedLogins()
    first = logins.count_new([AuthMessage("sshd", "812", "Invalid user bob from 203.0.113.7 port 5")])
    second = logins.count_new(
        [AuthMessage("sshd", "812", "Failed password for invalid user bob from 203.0.113.7 port 5 ssh2")]
    )
    assert (len(first), second) == (1, [])


def test_keys_that_were_tried_before_the_right_one_are_no_failed_login() -> None:
    assert (
        failures(
            sshd("Failed publickey for bob @: RSA SHA256:x"),
            sshd("Accepted publickey for bob @: ED25519 SHA256:y"),
        )
        == []
    )


def test_a_wrong_password_before_the_right_one_is_a_failed_login() -> None:
    found = failures(
        sshd("Failed password for bob @"),
        sshd("Accepted password for bob @"),
    )
    assert found == [FailedLogin("bob", REAL)]


def test_a_number_of_a_process_that_is_used_again_is_another_connection() -> None:
    closed = sshd("Connection closed by authenticating user root 203.0.113.7 port 5 [preauth]")
    assert len(failures(closed, closed)) == 2


def test_connections_that_never_end_are_forgotten() -> None:
    logins = FailedLogins()
    lines = [
        AuthMessage("sshd", str(n), "Failed password for x from 203.0.113.7 port 5 ssh2")
        for n in range(2 * MAX_CONNECTIONS)
    ]
    assert len(logins.count_new(lines)) == 2 * MAX_CONNECTIONS
    assert len(logins._counted) == MAX_CONNECTIONS  # noqa: SLF001 - memory shows nowhere else


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\n\n", b"\0\xff\xfe\n", b"Nov 22 16:08:12 box\n", b"x" * 100_000 + b"\n",
        b"Nov 22 16:08:12 box sshd[1]:\n",
        b"Failed password for root from 203.0.113.7 port 5 ssh2\n",
        b"Nov 22 16:08:12 box cron[1]: Failed password for root from 203.0.113.7 port 5 ssh2\n",
    ],
)  # fmt: skip
def test_what_is_no_line_of_a_program_that_lets_people_in_is_left_out(data: bytes) -> None:
    assert FailedLogins().count_new(parse_lines(data)) == []
