"""The `botwatch` command."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"botwatch {options.command} needs Botwatch's server packages ({error}): see the README\n"
        )
        return 1


def _run(options: argparse.Namespace) -> int:
    # Only the server's distribution has what commands are made of.
    if options.command == "up":
        from botwatch.up import up  # noqa: PLC0415

        return up(os.environ, demo=options.demo)
    from services.evaluator import commands  # noqa: PLC0415

    if options.action == "check":
        return commands.check_rules(options.folder, os.environ)
    return commands.test_rules(options.files, os.environ)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="botwatch", description="Watches trading bots.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="run every part on this machine until Ctrl-C")
    up.add_argument("--demo", action="store_true", help="with a demo bot on real market data")
    rules = commands.add_parser("rules", help="check or test the rules")
    actions = rules.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="say how every rule is understood, or what is wrong")
    check.add_argument("folder", type=Path, nargs="?", metavar="FOLDER", help="default: BOTWATCH_CONFIG")
    test = actions.add_parser("test", help="play rule tests: series in, alerts out")
    test.add_argument("files", type=Path, nargs="+", metavar="FILE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
