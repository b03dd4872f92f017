"""Generate docs/metrics.md, which defines every metric: `python -m shared.schema.metrics_page PATH`."""

import sys
from collections.abc import Iterator
from pathlib import Path

from shared.schema.metric_definitions import FAMILIES, MetricFamilyDefinition
from shared.schema.records import Performance
from shared.schema.undefined_reasons import REASONS
from shared.schema.units import metric_fields

_INTRODUCTION = """\
# Metrics

Botwatch computes every metric below for each bot from its raw records (`equity`, `order`, `fill`, and
`metric` records with the unit `price`) and appends them to the log as a `performance` record with `source:
computed`, at most once per second. A bot may also report any of them, as it defines them: reported and
computed metrics are kept apart everywhere. The page and the API show the reported value, fill in the metrics
that the bot does not report, and list where the two disagree (`differences`: both values; `disagreements`:
the number of metrics that disagreed in two consecutive comparisons, at least ten seconds apart).

Percentages are percent on the wire, in SQLite and in the API (8.5 is 8.5%); drawdown, value at risk and
slippage are positive where they cost money. Prometheus has the same metrics as `botwatch_bot_…` with the
label `source`, in base units: ratios and seconds. A year has 365 trading days, or the bot's `annualisation`.

A daily return compares the last equity of a day with that of the day before, in the bot's time zone
(`analytics.bots` in `performance_logger.json`). It is time-weighted: chained at each deposit and withdrawal,
∏ (equity right before the flow / equity right after the flow before it) − 1, so that no money moved in or out
changes it: 50,000 paid into 1,000 at midday and −0.5% afterwards is a day of −0.5%. A flow (`netFlow` of an
equity record, or a `flow` record) belongs to the next equity point, whose equity includes it. Up to an hour
before that point, the flow counts at it; else, up to an hour after the previous point, right after that one;
in between, by its share of the interval (modified Dietz), with the warning `approximate_return`. Days without
an equity point are skipped. The first day counts if `startEquity` is set.

Beta, alpha and the information ratio compare the daily returns with those of the bot's `benchmark`, by
default the only symbol that it trades (from the day of its first fill on). Its close is its latest price, of
the bot's own `metric` and `fill` records, before the end of the same day; without one, the price that any bot
reported for that pair of currencies at the day's end. A day without a price is joined to the next with one.

An undefined metric is null, never 0; `undefined` has the reason (in SQLite, `undefinedId` and
`lowConfidenceId` refer to rows of `performance_remarks`). Metrics based on few samples are marked ≈ on the
page and listed in `lowConfidence`: ratios from fewer than 30 daily returns, VaR 99% from fewer than 100, and
a realised P&L without the fees in a currency that has no rate. A trade whose result is within 1e-9 of its
notional counts as break-even.
"""
_COLUMNS = ("on the wire", "name", "unit", "definition", "made from", "undefined when")
_UNITS = {figure.wire: figure.unit.name for figure in metric_fields(Performance)}


def _table(columns: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _section(family: MetricFamilyDefinition) -> str:
    rows = (
        (f"`{metric.wire}`", metric.label, _UNITS[metric.wire], metric.text, metric.source, metric.undefined)
        for metric in family.figures
    )
    return f"## {family.title}\n\n{_table(_COLUMNS, rows)}"


def metrics_page() -> str:
    """Return the page as Markdown."""
    reasons = ((f"`{code}`", text.replace("{n}", "*n*")) for code, text in REASONS.items())
    why = f"## Why a metric is undefined\n\n{_table(('reason', 'meaning'), reasons)}"
    return "\n".join([_INTRODUCTION, *map(_section, FAMILIES), why])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(metrics_page(), encoding="utf-8")
