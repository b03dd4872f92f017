"""The `botwatch` command."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from botwatch.bots_command import add_bots_command, run_bots
from botwatch.version import VERSION


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        code = _run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # `botwatch rules check | head`: whoever read it has enough, which is no error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"botwatch {options.command} needs Botwatch's server packages ({error}): see the README\n"
        )
        return 1
    else:
        return code


def _run(options: argparse.Namespace) -> int:
    if options.command == "bots":
        return run_bots(options)
    # Only the server's distribution has what commands are made of.
    match options.command:
        case "up":
            from botwatch.up import up  # noqa: PLC0415

            return up(os.environ, demo=options.demo)
        case "rules":
            from services.evaluator import commands as rules  # noqa: PLC0415

            if options.action == "check":
                return rules.run_check_command(options.folder, os.environ)
            return rules.run_rule_test_command(options.files, os.environ)
    from services.notifier import commands as notices  # noqa: PLC0415

    if options.command == "notify":
        return notices.run_channel_test_command(options.channel, os.environ)
    return notices.print_new_key() if options.new_key else notices.encrypt_value(os.environ)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="botwatch", description="Monitors trading bots.")
    parser.add_argument("--version", action="version", version=f"botwatch {VERSION}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    up = commands.add_parser("up", help="run every part on this machine until Ctrl-C")
    up.add_argument("--demo", action="store_true", help="with a demo bot on real market data")
    rules = commands.add_parser("rules", help="check or test the rules")
    actions = rules.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="say how every rule is understood, or what is wrong")
    check.add_argument("folder", type=Path, nargs="?", metavar="FOLDER", help="default: BOTWATCH_CONFIG")
    test = actions.add_parser("test", help="play rule tests: series in, alerts out")
    test.add_argument("files", type=Path, nargs="+", metavar="FILE")
    notify = commands.add_parser("notify", help="try the ways by which alerts are told")
    tries = notify.add_subparsers(dest="action", required=True, metavar="ACTION")
    channel = tries.add_parser("test", help="send a test through a channel, and show the answer")
    channel.add_argument("channel", nargs="?", metavar="CHANNEL", help="default: list them")
    add_bots_command(commands)
    encrypt = commands.add_parser("encrypt", help="encrypt a value (on standard input) for the config")
    encrypt.add_argument("--new-key", action="store_true", help="print a new key for BOTWATCH_KEY instead")
    return parser


if __name__ == "__main__":
    sys.exit(main())
