"""Record: what a probe saw as a record of the log. Pure."""

from datetime import datetime

import msgspec

from services.collector.checks.base import CheckResult
from shared.schema.records import Check, CheckType
from shared.schema.timestamps import epoch_ms

MAX_TEXT = 4096

_decoder = msgspec.json.Decoder(Check)


def check_record(
    host: str, check: str, kind: CheckType, look: CheckResult, at: datetime, number: int
) -> Check:
    """Return the record of `look`, which ended `at`; `number` tells the host's checks apart.

    Its id makes sending it twice harmless. Raises TypeError for a figure that no record has, ValueError for
    one out of its bounds: one record that cannot be read would be in every reader's way.
    """
    figures = {
        name: round(value, 3) if isinstance(value, float) else value for name, value in look.figures.items()
    }
    record = Check(
        timestamp=at,
        id=f"{epoch_ms(at)}-{number}",
        host=host,
        check=check,
        type=kind,
        status=look.status,
        reason=look.reason,
        text=on_one_line(look.text)[:MAX_TEXT],
        **figures,  # type: ignore[arg-type]  # decoding says what is wrong with them
    )
    return _decoder.decode(msgspec.json.encode(record))


def on_one_line(text: str) -> str:
    """Return `text` on one line: strangers have a say in it, such as by the names they try to log in with."""
    return "".join(one if one.isprintable() else " " for one in text)
