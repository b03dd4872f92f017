"""Convert shares that a bot reports as fractions to percent before they enter the log."""

from collections.abc import Callable, Sequence
from functools import lru_cache

from shared.runtime.config.documents import AnalyticsSection
from shared.schema.records import AnyRecord, Performance
from shared.schema.units import PERCENT, metric_fields

MAX_REMEMBERED = 10_000
"""Size of the cache of bots' units."""

ToPercent = Callable[[Sequence[AnyRecord]], None]

_PERCENT_FIELDS = tuple(figure.attribute for figure in metric_fields(Performance) if figure.unit is PERCENT)


def keep_percent(_records: Sequence[AnyRecord]) -> None:
    """Leave all records unchanged: no bot reports fractions."""


def percent_converter(section: AnalyticsSection) -> ToPercent:
    """Return a function that converts, in place, the shares of bots whose `unit` is `fraction` to percent.

    The unit is never guessed: 0.085 of any other bot is 0.085%.
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
