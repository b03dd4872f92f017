"""Lines of sudo: who did what, and nothing of passwords."""

import pytest

from services.collector.checks.security.auth_log import parse_lines
from services.collector.checks.security.sudo_log import MAX_COMMAND, SudoUse, mask, parse_uses


def used(text: str) -> list[SudoUse]:
    return list(parse_uses(parse_lines(f"Nov 22 16:08:12 box sudo[9]: {text}\n".encode())))


REST = "TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/usr/bin/apt update"


@pytest.mark.parametrize(
    ("text", "use"),
    [
        (f"     bob : {REST}", SudoUse("bob", "root", "/usr/bin/apt update")),
        (f"DESK\\bob smith : {REST}", SudoUse("DESK\\bob smith", "root", "/usr/bin/apt update")),
        (
            "bob : HOST=box ; PWD=/ ; USER=trader ; GROUP=adm ; TSID=000001 ; ENV=A=1 ; COMMAND=/bin/ls",
            SudoUse("bob", "trader", "/bin/ls"),
        ),
        (
            "  nobody : user NOT in sudoers ; PWD=/tmp ; USER=root ; COMMAND=/bin/ls",  # sudo 1.9.13, no tty
            SudoUse("nobody", "root", "/bin/ls", "user NOT in sudoers"),
        ),
        (
            f"bob : 3 incorrect password attempts ; {REST}",
            SudoUse("bob", "root", "/usr/bin/apt update", "3 incorrect password attempts"),
        ),
        (
            f"bob : user NOT in sudoers ; {REST}",
            SudoUse("bob", "root", "/usr/bin/apt update", "user NOT in sudoers"),
        ),
        (
            f"bob : command not allowed ; {REST}",
            SudoUse("bob", "root", "/usr/bin/apt update", "command not allowed"),
        ),
        (
            f"bob : a password is required ; {REST}",
            SudoUse("bob", "root", "/usr/bin/apt update", "a password is required"),
        ),
        (
            f"message repeated 3 times: [      bob : {REST}]",
            SudoUse("bob", "root", "/usr/bin/apt update", "", 3),
        ),
    ],
)
def test_a_line_tells_who_did_what(text: str, use: SudoUse) -> None:
    assert used(text) == [use]


@pytest.mark.parametrize(
    "text",
    [
        "pam_unix(sudo:session): session opened for user root(uid=0) by bob(uid=1000)",
        "pam_unix(sudo:auth): authentication failure; logname=bob uid=1000 euid=0 ruser=bob rhost=",
        "bob : (command continued) --more",
        "",
    ],
)
def test_what_tells_of_no_use_is_left_out(text: str) -> None:
    assert used(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "bob : TTY=pts/0 ; PWD=/tmp/x ; USER=bob ; COMMAND=/bin/true ; USER=root ; COMMAND=/bin/evil",
        "bob : TTY=pts/0 ; PWD=/tmp ; USER=root ; COMMAND=/bin/evil ; COMMAND=/bin/true",
        "bob : TTY=pts/0 ; PWD=/tmp/x ; USER=bob ; USER=root ; COMMAND=/bin/evil",
    ],
)
def test_a_folder_or_argument_that_looks_like_a_command_is_said(text: str) -> None:
    assert used(text)[0].command.endswith("(ambiguous log line: more than one command; see the log)")


@pytest.mark.parametrize(
    "command",
    [
        "/bin/x --password=hunter2", "/bin/x --password hunter2", "/bin/x --db-password 'hunter2 x'",
        "/bin/x -passwd hunter2", "/bin/env API_KEY=hunter2 x", "/bin/env BYBIT_API_SECRET=hunter2 x",
        "/bin/mysql -uroot -phunter2", "/bin/curl -u bob:hunter2 x", "/bin/psql pg://bob:hunter2@db",
        "/bin/curl -H 'Authorization: Bearer hunter2'", "/bin/curl -H X-Api-Key: hunter2",
        '/bin/x --token="hunter2"', "/bin/x TELEGRAM_TOKEN=hunter2", "/bin/x --private-key hunter2",
        "/bin/x --password 'x hunter2",
    ],
)  # fmt: skip
def test_what_looks_like_a_password_is_masked(command: str) -> None:
    assert "hunter2" not in mask(command)
    assert mask(command).startswith(command[:6])


@pytest.mark.parametrize(
    "command",
    ["/usr/bin/apt update", "/usr/bin/tail -n 5 /var/log/x", "/bin/cat /etc/passwd", "/bin/mkdir -p /srv/x"],
)
def test_other_commands_stay_as_they_are(command: str) -> None:
    assert mask(command) == command


def test_a_long_command_is_cut_after_it_was_masked() -> None:
    padding = "x" * (MAX_COMMAND - 20)
    found = used(f"bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/x {padding} --password hunter2")[0]
    assert len(found.command) == MAX_COMMAND
    assert "hunter" not in found.command


def test_a_use_is_said_in_a_sentence() -> None:
    assert str(SudoUse("bob", "root", "/bin/ls")) == "bob ran /bin/ls as root"
    assert (
        str(SudoUse("bob", "root", "/bin/ls", "user NOT in sudoers", 2))
        == "bob was denied /bin/ls as root: user NOT in sudoers (2 times)"
    )
