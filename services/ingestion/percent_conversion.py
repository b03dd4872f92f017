"""Percent at the doors: what a bot reports as fractions enters the log as every reader expects it."""

from collections.abc import Callable, Sequence
from functools import lru_cache

from shared.runtime.config.documents import AnalyticsSection
from shared.schema.records import AnyRecord, Performance
from shared.schema.units import PERCENT, metric_fields

MAX_REMEMBERED = 10_000
"""Bots of which it is known whether they report fractions."""

ToPercent = Callable[[Sequence[AnyRecord]], None]

_PERCENT_FIELDS = tuple(figure.attribute for figure in metric_fields(Performance) if figure.unit is PERCENT)


def keep_percent(_records: Sequence[AnyRecord]) -> None:
    """Leave records as they are: no bot reports fractions."""


def percent_converter(section: AnalyticsSection) -> ToPercent:
    """Return what makes percent of the shares in the records of bots whose `unit` is `fraction`, in place.

    Never guessed: 0.085 of a bot that is not configured so is 0.085%.
    """
    if not any(bot.unit == "fraction" for bot in section.bots.values()):
        return keep_percent
    reports_fractions = lru_cache(MAX_REMEMBERED)(section.reports_fractions)

    def convert(records: Sequence[AnyRecord]) -> None:
        for record in records:
            if type(record) is Performance and record.source == "reported" and reports_fractions(record.bot):
                for name in _PERCENT_FIELDS:
                    value = getattr(record, name)
                    if value is not None:
                        setattr(record, name, value * 100)

    return convert
