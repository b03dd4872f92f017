"""The command `botwatch replay`: folds a past from files, offline, and prints the bot's metrics."""

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace as Options
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import typer

from services.recorder.replay.files import FORMATS, ReplayFile
from services.recorder.replay.fold import Replayed, replay
from services.recorder.replay.report import json_report, text_report
from shared.analytics.settings import AnalyticsSettings, Matching
from shared.runtime.config.documents import PerformanceLogger, load_document
from shared.schema.faults import Fault, InvalidError

FAILED = 1
PROGRESS_INTERVAL_S = 0.5
MAX_WIDTH = 100


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise typer.BadParameter(f"expected a number above 0, got {text!r}")
    return number


def _format(text: str) -> str:
    if text not in FORMATS:
        raise typer.BadParameter(f"expected one of {', '.join(FORMATS)}, got {text!r}")
    return text


Format = Annotated[
    str | None,
    typer.Option("--format", parser=_format, metavar="|".join(FORMATS), help="Default: by content."),
]

app = typer.Typer()


@app.command()
def replay_command(  # noqa: PLR0913 - each is an option
    files: Annotated[list[Path], typer.Argument(help="Of one past: such as fills and equity.")],
    *,
    bot: Annotated[str, typer.Option(metavar="NAME", help="Whose records, and whose settings.")],
    file_format: Format = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="performance_logger.json with the settings of the bot."),
    ] = None,
    currency: Annotated[str | None, typer.Option(metavar="CODE", help="The account's currency.")] = None,
    start_equity: Annotated[
        float | None,
        typer.Option(parser=_positive, metavar="AMOUNT", help="Equity before the first event."),
    ] = None,
    matching: Annotated[Matching | None, typer.Option(help="What counts as a closed trade.")] = None,
    time_zone: Annotated[str, typer.Option(metavar="ZONE", help="Of times without one.")] = "UTC",
    strategy: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of a freqtrade result with several.")
    ] = None,
    trades: Annotated[bool, typer.Option("--trades", help="List the closed trades.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Compute a bot's metrics from files, offline; nothing is stored.

    Files are Botwatch records, CSV of fills, trades or equity, exports of Binance, Kraken and MetaTrader 5,
    trades of ccxt, backtests of freqtrade.
    """
    return run_replay(
        Options(
            files=files, bot=bot, format=file_format, config=config, currency=currency,
            start_equity=start_equity, matching=matching, time_zone=time_zone, strategy=strategy,
            trades=trades, json=as_json,
        )
    )  # fmt: skip


def run_replay(options: Options) -> int:
    """Replay the files and print the result; return 1 with what is wrong with them."""
    progress = Progress(sys.stderr.isatty(), time.monotonic)
    try:
        zone = zone_of(options.time_zone)
        settings = _configured(options, {})
        files = [ReplayFile(path, options.format, zone, options.strategy) for path in options.files]
        replayed = replay(
            files, options.bot, _with_files(settings, files), progress, keep_trades=options.trades
        )
    except InvalidError as error:
        progress.clear()
        sys.stderr.writelines(f"botwatch replay: {fault}\n" for fault in error.faults)
        return FAILED
    except OSError as error:
        progress.clear()
        sys.stderr.write(f"botwatch replay: {error.filename}: {error.strerror}\n")
        return FAILED
    progress.clear()
    _print(replayed, options)
    return 0


def _print(replayed: Replayed, options: Options) -> None:
    record = replayed.account.performance(options.bot)
    if record is None:
        raise RuntimeError("the replay folded no event, which `replay` excludes")
    if options.json:
        sys.stdout.write(f"{json_report(replayed, record, with_trades=options.trades).decode()}\n")
    else:
        width = min(shutil.get_terminal_size().columns, MAX_WIDTH)
        sys.stdout.write(text_report(replayed, record, with_trades=options.trades, width=width))


def _configured(options: Options, environ: Mapping[str, str]) -> AnalyticsSettings:
    """Return the settings of the bot in the config document, overridden by the command line."""
    if options.config and not options.config.is_file():
        raise InvalidError([Fault(str(options.config), "no such file")])
    document = load_document(options.config, PerformanceLogger, environ) if options.config else None
    settings = (document or PerformanceLogger()).analytics.settings_for(options.bot)
    given = {
        "currency": options.currency, "start_equity": options.start_equity, "matching": options.matching,
    }  # fmt: skip
    return msgspec.structs.replace(
        settings, **{name: value for name, value in given.items() if value is not None}
    )


def _with_files(settings: AnalyticsSettings, files: list[ReplayFile]) -> AnalyticsSettings:
    """Add what the files say about the account, where nothing else does."""
    for file in files:
        known = {name: value for name, value in file.defaults._asdict().items() if value is not None}
        missing = {name: value for name, value in known.items() if getattr(settings, name) is None}
        settings = msgspec.structs.replace(settings, **missing)
    return settings


def zone_of(name: str) -> ZoneInfo:
    """Return the zone of `--time-zone`; InvalidError if there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"expected an IANA time zone such as Europe/Berlin, got {name!r}"
        raise InvalidError([Fault("--time-zone", message)]) from None


class Progress:
    """One line on a terminal that says what is being done."""

    def __init__(self, is_terminal: bool, monotonic: Callable[[], float]) -> None:
        self._is_terminal, self._monotonic = is_terminal, monotonic
        self._shown_at = monotonic()
        self._is_shown = False

    def __call__(self, doing: str, done: int) -> None:
        """Show what is being done, unless a line was shown just now."""
        now = self._monotonic()
        if self._is_terminal and now - self._shown_at >= PROGRESS_INTERVAL_S:
            self._shown_at, self._is_shown = now, True
            sys.stderr.write(f"\r\x1b[K{doing}: {done:,} events")
            sys.stderr.flush()

    def clear(self) -> None:
        """Remove the line."""
        if self._is_shown:
            sys.stderr.write("\r\x1b[K")
