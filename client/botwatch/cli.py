"""The `botwatch` command."""

import argparse
import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    parser = argparse.ArgumentParser(prog="botwatch", description="Watches trading bots.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="run every part on this machine until Ctrl-C")
    up.add_argument("--demo", action="store_true", help="with a demo bot on real market data")
    options = parser.parse_args(arguments)
    try:
        from botwatch.up import up as run_up  # noqa: PLC0415 - only the server's distribution can run it
    except ModuleNotFoundError as error:
        sys.stderr.write(f"botwatch up needs Botwatch's server packages ({error}): see the README\n")
        return 1
    return run_up(os.environ, demo=options.demo)


if __name__ == "__main__":
    sys.exit(main())
