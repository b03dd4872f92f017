"""Rule trial on what is stored: reads the records of the last days and evaluates one rule on them."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from shared.rules.rule import Rule
from shared.rules.trial import RuleTrial, TrialResult, needed_records, warm_up_ms
from shared.runtime.config.documents import Documents
from shared.runtime.config.mute_config import parse_mute_config
from shared.schema.silences import Silence
from shared.schema.timestamps import MILLISECOND, epoch_ms
from shared.store.database import Database
from shared.store.recorded import RecordReader, find_pauses
from shared.store.silences import silences_between

MAX_SILENCES = 1000
"""Those that end latest count."""


class TrialSources(NamedTuple):
    """What a trial reads."""

    performance: Database
    health: Database
    documents: Documents
    """Their maintenance windows count, and how often hosts are sampled."""


def try_rule(
    rule: Rule,
    sources: TrialSources,
    span: timedelta,
    now: datetime,
    check: Callable[[float], None] = lambda _: None,
) -> TrialResult:
    """Return the alerts that `rule` would have opened in the `span` before `now`.

    `check` is called again and again with the share that is done (0 to 1); what it raises ends the trial.
    """
    performance, health, documents = sources
    start = now - span
    begin = start - warm_up_ms(rule) * MILLISECOND
    reader = RecordReader(performance, health, needed_records(rule), rule.may_apply_to)
    pauses = find_pauses(performance, health, begin, now, documents.health.monitoring.interval_seconds)
    with health.read() as connection:
        silences = [_as_it_was(one) for one in silences_between(connection, start, now, MAX_SILENCES)]
    trial = RuleTrial(rule, epoch_ms(start), parse_mute_config(documents), silences, pauses)
    check(0.0)
    for piece in reader.read(begin, now):
        trial.process(piece.records)
        check((piece.end - begin) / (now - begin))
    result = trial.finish(epoch_ms(now))
    minutes_until = reader.minutes_until
    if minutes_until and minutes_until > start:
        result.minutes_until = minutes_until
    return result


def _as_it_was(silence: Silence) -> Silence:
    """Return a silence as it was while it was active: one that was ended early counts as expired for ever."""
    return replace(silence, updated_at=min(silence.updated_at, silence.starts_at))
