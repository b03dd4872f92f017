"""The files of a replay: their format, by content, and their events."""

import codecs
import zipfile
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from services.recorder.replay import csv_files
from services.recorder.replay.ccxt_trades import read_ccxt_trades
from services.recorder.replay.csv_files import read_csv
from services.recorder.replay.freqtrade import StrategyResult, decode_result, defaults_of, read_freqtrade
from services.recorder.replay.record_files import read_record_array, read_record_lines
from services.recorder.replay.rows import FileDefaults, FoundEvent, ReadReport
from shared.schema.decoding import UNREADABLE, describe_json_error
from shared.schema.faults import Fault, InvalidError

RECORDS, FREQTRADE, CCXT = "records", "freqtrade", "ccxt"
FORMATS = (RECORDS, *csv_files.FORMATS, FREQTRADE, CCXT)
_HEAD_BYTES = 65_536
_MAX_JSON_BYTES = 2 * 1024**3
"""Limit of a document that is not read line by line."""
_ZIP = b"PK\x03\x04"
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


class ReplayFile:
    """One file; its events can be read several times. InvalidError, with what is wrong, OSError."""

    def __init__(self, path: Path, wanted: str | None, zone: ZoneInfo, strategy: str | None) -> None:
        self.path = path
        self._zone = zone
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        if not head.strip():
            raise InvalidError([Fault(str(path), "expected records, got an empty file")])
        self._encoding = next((name for bom, name in _BOMS.items() if head.startswith(bom)), "utf-8")
        self._items: list[msgspec.Raw] = []
        self._result: StrategyResult | None = None
        self.format = wanted or self._detect(head)
        if self.format == FREQTRADE:
            self._result = decode_result(self._document(head), strategy, str(path))
        elif self.format == CCXT and not self._items:
            self._items = self._array()

    @property
    def defaults(self) -> FileDefaults:
        """Settings that the file has itself."""
        return defaults_of(self._result) if self._result else FileDefaults()

    def events(self, report: ReadReport) -> Iterator[FoundEvent]:
        """Yield the events in the order of the file."""
        if self._result:
            yield from read_freqtrade(self._result, report)
        elif self.format == CCXT:
            yield from read_ccxt_trades(self._items, report)
        elif self.format == RECORDS and self._items:
            yield from read_record_array(self._items, report)
        elif self.format == RECORDS:
            with self.path.open("rb") as lines:
                yield from read_record_lines(lines, report)
        else:
            yield from self._csv_events(report)

    def _csv_events(self, report: ReadReport) -> Iterator[FoundEvent]:
        wanted = self.format if self.format in csv_files.FORMATS else None
        with self.path.open(encoding=self._encoding, newline="") as lines:
            try:
                yield from read_csv(lines, wanted, self._zone, report)
            except UnicodeDecodeError as error:
                message = f"expected text in {self._encoding}: {error.reason} after {report.rows} rows"
                raise InvalidError([Fault(str(self.path), message)]) from None

    def _detect(self, head: bytes) -> str:
        """Return the format that the beginning of the file shows; `csv` is any CSV file."""
        start = head.removeprefix(codecs.BOM_UTF8).lstrip()
        if head.startswith(_ZIP):
            return FREQTRADE
        if start.startswith(b"["):
            self._items = self._array()
            first = msgspec.json.decode(self._items[0]) if self._items else None
            if isinstance(first, dict) and "kind" in first:
                return RECORDS
            if isinstance(first, dict) and {"symbol", "side", "amount", "price"} <= first.keys():
                return CCXT
            expected = (
                "expected Botwatch records (with `kind`) or trades of ccxt (symbol, side, amount, price)"
            )
            raise InvalidError([Fault(f"{self.path}: $[0]", expected)])
        if start.startswith(b"{"):
            first_line = start.partition(b"\n")[0]
            return RECORDS if b'"kind"' in first_line and b'"strategy"' not in first_line[:20] else FREQTRADE
        return "csv"

    def _array(self) -> list[msgspec.Raw]:
        data = _read_limited(self.path)
        try:
            return msgspec.json.decode(data.removeprefix(codecs.BOM_UTF8), type=list[msgspec.Raw])
        except UNREADABLE as error:
            raise InvalidError([Fault(str(self.path), describe_json_error(data, error))]) from None

    def _document(self, head: bytes) -> bytes:
        """Return the JSON of a result; of a ZIP file, its member that has one."""
        if not head.startswith(_ZIP):
            return _read_limited(self.path)
        try:
            with zipfile.ZipFile(self.path) as archive:
                members = [
                    member
                    for member in archive.infolist()
                    if member.filename.endswith(".json") and not member.filename.endswith("_config.json")
                ]
                if len(members) == 1 and members[0].file_size <= _MAX_JSON_BYTES:
                    return archive.read(members[0])
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:  # RuntimeError: encrypted
            raise InvalidError([Fault(str(self.path), f"cannot be read as a ZIP file: {error}")]) from None
        names = ", ".join(member.filename for member in members) or "none"
        message = f"expected one backtest result (.json) below 2 GiB in the ZIP file, got {names}"
        raise InvalidError([Fault(str(self.path), message)])


def _read_limited(path: Path) -> bytes:
    if path.stat().st_size > _MAX_JSON_BYTES:
        message = "expected a JSON document below 2 GiB; larger ones as JSON lines of records, or as CSV"
        raise InvalidError([Fault(str(path), message)])
    return path.read_bytes()
