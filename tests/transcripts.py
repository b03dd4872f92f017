"""Writes docs/cli.md: `python -m tests.transcripts docs/cli.md` runs every command on a Botwatch with the demo bot.

The outputs are those of real runs; addresses and folders are replaced by the usual ones. Needs tmux.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from botwatch.cli.app import API_COMMANDS, SERVER_COMMANDS
from botwatch.cli.exit_codes import MEANINGS
from shared.runtime.settings import REPOSITORY
from tests.integration.conftest import run_receivers
from tests.integration.stack import BotwatchProcess, botwatch_up
from tests.screenshots import example_config
from tests.support import require_program, wait_until

MOST_LINES = 28
"""Longer outputs are cut."""
WIDTH, HEIGHT = 100, 30
TOP_S = 6.0
"""How long `top` runs before it is looked at."""
SECRET = re.compile(r"(bw_\w{4}|Password: .{4}|^[\w-]{4}(?=[\w-]{39}=$))[\w-]+=?$", re.MULTILINE)
"""Tokens, passwords and keys: they were real."""
USUAL_PORTS = ("9090", "3001", "8080", "6379")
FILLS = """time,symbol,side,quantity,price,fee
2026-01-05T10:00:00Z,EURUSD,buy,1000,1.0650,0.02
2026-01-05T14:00:00Z,EURUSD,sell,1000,1.0674,0.02
2026-01-06T10:00:00Z,EURUSD,buy,1000,1.0690,0.02
2026-01-06T14:00:00Z,EURUSD,sell,1000,1.0669,0.02
"""
HEAD = """# The command line

`botwatch` works with a Botwatch that runs anywhere (over its API), and on the machine of the server. This page was written by
`python -m tests.transcripts docs/cli.md`: every output is that of a real run.

```sh
pip install './client[cli]'      # on any machine: the commands over the API
make setup                       # in Botwatch's repository: all commands
source <(botwatch completion bash)
```

## Where, who, and how it ends

| option | environment | default |
|---|---|---|
| `--url`, the dashboard | `BOTWATCH_URL` | `http://localhost:3001` |
| `--url` of `send` and `import`, the ingestion | `BOTWATCH_INGESTION_URL` | `http://localhost:9090` |
| `--token TOKEN` or `--token @FILE` | `BOTWATCH_TOKEN`, `BOTWATCH_TOKEN_FILE` | on the machine of the server, the token that Botwatch made for its commands |
| `--websocket-url` of `tail` | `BOTWATCH_WEBSOCKET_URL` | what the dashboard says |
| `--json` | | tables and sentences; plain text where no terminal shows them |

A token in the command line is seen in the list of processes: prefer the environment or a file. `NO_COLOR` turns colours off.

"""
SCRIPTS = """
## In scripts

```sh
botwatch status >/dev/null || echo "not well"                                   # a cron job, a login message
botwatch alerts --json | jq -r '.[] | select(.severity == "CRITICAL") | .id' | xargs -r botwatch alerts ack --comment "on it"
botwatch tail --alerts --json | while read -r line; do …; done                  # one JSON document per line
botwatch send event title="deployed $(git describe)" bot=scalper-1              # a deployment, in the charts
```
"""


class Run(NamedTuple):
    """A command to show."""

    words: str
    lines: int = MOST_LINES
    stdin: str = ""


RUNS: dict[str, list[Run]] = {
    "status": [Run("status"), Run("status --json", 12)],
    "bots": [Run("bots"), Run("bots retire nobody")],
    "bot": [Run("bot demo-eurusd", 40)],
    "alerts": [
        Run("alerts"),
        Run("alerts show {alert}", 20),
        Run('alerts ack {alert} --comment "looking"'),
        Run("alerts silence {alert} --for 30m"),
    ],
    "silences": [
        Run("silences"),
        Run("silences add bot=~'demo-.*' severity=LOW --for 2h --dry-run"),
        Run("silences add bot=demo-eurusd --for never"),
    ],
    "checks": [Run("checks")],
    "oncall": [Run("oncall")],
    "report": [Run("report create --bot demo-eurusd"), Run("report list", 6)],
    "send": [
        Run("send equity bot=scalper-1 equity=12500 currency=USD"),
        Run("send order bot=scalper-1 symbol=EURUSD side=up quantity=0"),
        Run("send -", stdin='{"kind": "equity", "bot": "scalper-1", "equity": 12510}\n'),
    ],
    "tail": [Run("tail --bot demo-eurusd --kind fill --kind order --kind alert", 8)],
    "top": [],
    "completion": [Run("completion bash", 6)],
    "up": [Run("up --help", 8)],
    "audit": [Run("audit list --limit 4"), Run("audit verify")],
    "rules": [
        Run("rules check", 10),
        Run("rules test tests/rules/drawdown.yml"),
        Run("rules try drawdown --days 1"),
    ],
    "config": [Run("config check"), Run("config diff"), Run("config show", 8)],
    "notify": [Run("notify test"), Run("notify test email")],
    "doctor": [Run("doctor", 16)],
    "token": [
        Run("token create grafana --scope read --expires 90d"),
        Run("token list"),
        Run("token revoke grafana"),
    ],
    "user": [Run("user add ann --role operator --generate"), Run("user list")],
    "import": [Run("import fills.csv --bot backtest-7")],
    "replay": [Run("replay fills.csv --bot backtest-7", 12)],
    "encrypt": [Run("encrypt --new-key")],
    "backup": [Run("backup now"), Run("backup list")],
    "restore": [Run("restore --help", 14)],
    "maintain": [Run("maintain", 10)],
}


def main(path: Path) -> None:
    """Run every command, and write the page."""
    with tempfile.TemporaryDirectory() as name, run_receivers() as receivers:
        work = Path(name)
        mail = {
            "ALERT_SMTP": f"127.0.0.1:{receivers.smtp_port}",
            "ALERT_SMTP_SECURITY": "none",
            "ALERT_EMAIL_FROM": "botwatch@example.com",
            "ALERT_EMAIL_TO": "ann@example.com",
        }
        (work / "fills.csv").write_text(FILLS, encoding="utf-8")
        (work / "tests").symlink_to(REPOSITORY / "tests")
        config = example_config(work, receivers.smtp_port)
        with botwatch_up(work, config, demo=True, **mail) as stack:
            wait_until(lambda: stack.alerts("demo-eurusd"), "an alert of the demo bot")
            wait_until(lambda: stack.dashboard("/api/monitoring/checks"), "a check")
            shell = Shell(stack, work, config, mail)
            path.write_text("".join(page(shell)), encoding="utf-8")


class Shell:
    """Runs commands as a user of that Botwatch would."""

    def __init__(self, stack: BotwatchProcess, folder: Path, config: Path, mail: dict[str, str]) -> None:
        self._folder = folder
        self._alert = stack.alerts("demo-eurusd")[0]["id"][:8]
        (folder / "botwatch").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m botwatch.cli "$@"\n')
        (folder / "botwatch").chmod(0o755)
        ports = stack.ports
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BOTWATCH_")},
            **{name: str(port) for name, port in ports.items()},
            **mail,
            "PATH": f"{folder}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY) + ":" + str(REPOSITORY / "client"),
            "BOTWATCH_HOME": str(stack.home),
            "BOTWATCH_CONFIG": str(config),
            "BOTWATCH_URL": f"http://127.0.0.1:{ports['DASHBOARD_PORT']}",
            "BOTWATCH_INGESTION_URL": f"http://127.0.0.1:{ports['INGESTION_PORT']}",
            "BOTWATCH_SPOOL": str(folder / "spool"),
            "REDIS_URL": stack.redis_url(),
            "COLUMNS": str(WIDTH),
            "TZ": "UTC",
        }
        self._usual = {
            self._environ["BOTWATCH_URL"]: "http://localhost:3001",
            f"http://localhost:{ports['DASHBOARD_PORT']}": "http://localhost:3001",
            self._environ["BOTWATCH_INGESTION_URL"]: "http://localhost:9090",
            **{str(port): usual for port, usual in zip(ports.values(), USUAL_PORTS, strict=True)},
            str(stack.home): "var",
            f"{folder}/": "",
        }

    def run(self, one: Run) -> str:
        """Return a command with its output and its exit code, unless that is 0."""
        words = f"botwatch {one.words.format(alert=self._alert)}"
        begin = f"printf {shlex.quote(one.stdin)} | " if one.stdin else ""
        limit = "timeout --signal=INT 6 " if one.words.startswith("tail") else ""
        done = subprocess.run(
            ["sh", "-c", f"{begin}{limit}{words} 2>&1"], cwd=self._folder, env=self._environ,
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        lines = self._replace(done.stdout).rstrip().splitlines()
        if len(lines) > one.lines:
            lines[one.lines :] = ["…"]
        ending = [f"[exit code {done.returncode}]"] if done.returncode and not limit else []
        shown = f"echo {shlex.quote(one.stdin.strip())} | {words}" if one.stdin else words
        return "\n".join([f"$ {shown}", *lines, *ending]) + "\n"

    def photograph_top(self) -> str:
        """Return the screen of `botwatch top`, in a real terminal."""
        tmux = [require_program("tmux"), "-L", f"transcripts-{os.getpid()}", "-f", "/dev/null"]
        size = ["-x", str(WIDTH), "-y", str(HEIGHT)]
        subprocess.run(
            [*tmux, "new-session", "-d", *size, "botwatch top"], env=self._environ, timeout=10, check=True
        )
        try:
            time.sleep(TOP_S)
            shown = subprocess.run(
                [*tmux, "capture-pane", "-p"], capture_output=True, text=True, timeout=10, check=True
            ).stdout
        finally:
            subprocess.run([*tmux, "kill-server"], timeout=10, check=False)
        return "$ botwatch top\n" + "\n".join(line.rstrip() for line in shown.rstrip().splitlines()) + "\n"

    def _replace(self, text: str) -> str:
        for own, usual in self._usual.items():
            text = text.replace(own, usual)
        text = SECRET.sub(r"\1…", text)
        return "\n".join(line.rstrip() for line in text.splitlines())


def page(shell: Shell) -> Iterator[str]:
    """Yield the parts of the page."""
    yield HEAD
    yield "| exit code | meaning |\n|---|---|\n"
    for code, meaning in MEANINGS.items():
        yield f"| {code} | {meaning} |\n"
    yield "| 130, 143 | ended by Ctrl-C, SIGTERM |\n\n"
    yield "`botwatch doctor` has its own: 0 all is well, 1 warnings, 2 something is critical.\n"
    for title, commands in (
        ("Over the API", API_COMMANDS),
        ("On the machine of the server", SERVER_COMMANDS),
    ):
        yield f"\n## {title}\n"
        for name, text in commands.items():
            yield f"\n### `botwatch {name}`\n\n{text[0].upper()}{text[1:]}.\n\n```\n"
            transcripts = [shell.run(one) for one in RUNS[name]]
            if name == "top":
                transcripts.append(shell.photograph_top())
            yield "\n".join(transcripts)
            yield "```\n"
            print(name)
    yield SCRIPTS


if __name__ == "__main__":
    main(Path(sys.argv[1]))
