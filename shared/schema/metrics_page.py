"""The page that explains every figure: `python -m shared.schema.metrics_page docs/metrics.md` writes it."""

import sys
from collections.abc import Iterator
from pathlib import Path

from shared.schema.metric_definitions import FAMILIES, MetricFamilyDefinition
from shared.schema.records import Performance
from shared.schema.undefined_reasons import REASONS
from shared.schema.units import metric_fields

_INTRODUCTION = """\
# What each figure means

Botwatch computes every figure below for each bot from its raw records (`equity`, `order`, `fill`, and
`metric` records with the unit `price`) and puts them into the log as a `performance` record with `source:
computed`, at most once a second. A bot may report any of them itself, by its own terms: reported and
computed figures are kept apart everywhere. The page and the API show the reported figure, fill in what the
bot leaves out, and say where the two differ (`differences`: both values; `disagreements`: how many figures
differed at two comparisons in a row, which are ten seconds apart at least).

Percentages are percent on the wire, in SQLite and in the API (8.5 is 8.5 %); drawdown, value at risk and
slippage are positive where they cost. Prometheus has the same figures as `botwatch_bot_…` with the label
`source`, in base units: fractions and seconds. Daily returns are made of the last equity of each day in the
bot's time zone (`analytics.bots` in `performance_logger.json`), less deposits and withdrawals; days without
a point are left out. A year has 365 trading days, or the bot's `annualisation`.

A figure that is undefined is null, never 0; `undefined` says why (in SQLite `undefinedId` and
`lowConfidenceId` name the row of `performance_remarks` that has it). Figures that rest on little are marked ≈
on the page and listed in `lowConfidence`: ratios of under 30 daily returns, VaR 99 % of under 100, and a
realised P&L that lacks fees in a currency without a rate. A trade whose result is within 1e-9 of its notional
broke even.
"""
_COLUMNS = ("on the wire", "name", "unit", "definition", "made from", "undefined when")
_UNITS = {figure.wire: figure.unit.name for figure in metric_fields(Performance)}


def _table(columns: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _section(family: MetricFamilyDefinition) -> str:
    rows = (
        (f"`{one.wire}`", one.label, _UNITS[one.wire], one.text, one.source, one.undefined)
        for one in family.figures
    )
    return f"## {family.title}\n\n{_table(_COLUMNS, rows)}"


def metrics_page() -> str:
    """Return the page as Markdown."""
    reasons = ((f"`{code}`", text.replace("{n}", "*n*")) for code, text in REASONS.items())
    why = f"## Why a figure is undefined\n\n{_table(('reason', 'in words'), reasons)}"
    return "\n".join([_INTRODUCTION, *map(_section, FAMILIES), why])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(metrics_page(), encoding="utf-8")
