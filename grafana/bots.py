"""Queries and panels of the bots' metrics: name, unit and description follow from the wire's definitions."""

from grafana_foundation_sdk.builders import stat, timeseries

from grafana.builders import (
    BASIS_POINTS,
    COUNT,
    MONEY,
    NUMBER,
    RATIO,
    SECONDS,
    Look,
    Query,
    single_stat,
    time_series,
)
from grafana.limits import PLAIN, Limits
from shared.schema import units
from shared.schema.metric_definitions import DEFINITIONS
from shared.schema.records import Performance
from shared.schema.units import metric_fields

FIGURES = {figure.wire: figure for figure in metric_fields(Performance)}
COUNTED = {figure.attribute for figure in FIGURES.values()} & {
    "trading_days", "total_trades", "trades24h", "total_orders", "dropped_latencies", "open_positions",
    "consecutive_losses", "position_differences", "trade_differences", "disagreements",
}  # fmt: skip
BASIS_POINTS_PER_ONE = 1 / units.BASIS_POINTS.factor
BY_UNIT = {
    units.PERCENT: RATIO,
    units.BASIS_POINTS: BASIS_POINTS,
    units.MONEY: MONEY,
    units.SECONDS: SECONDS,
    units.MILLISECONDS: SECONDS,
    units.DAYS: SECONDS,
}
NO_FIGURE = "No data: the bot sends no equity, orders or fills yet (docs/bots.md), or has too few of them."
NO_REPORT = "No data: the bot reports no metrics of its own, so there is nothing to compare."


def figure_series(wire: str, source: str = "$source", bots: str = "$bot") -> str:
    """Return a query for a metric of the selected bots, in the unit of its panel."""
    figure = FIGURES[wire]
    series = f'botwatch_bot_{figure.prometheus}{{bot=~"{bots}", source=~"{source}"}}'
    return f"{series} * {BASIS_POINTS_PER_ONE:.0f}" if figure.unit == units.BASIS_POINTS else series


def one_per_bot(wire: str) -> str:
    """Return a query for a metric per bot: the computed value, or the reported one where there is none."""
    computed, reported = figure_series(wire, "computed"), figure_series(wire, "reported")
    return f"max by (bot) ({computed} or ignoring (source) {reported})"


def figure_unit(wire: str) -> str:
    """Return Grafana's unit of a metric."""
    figure = FIGURES[wire]
    return COUNT if figure.attribute in COUNTED else BY_UNIT.get(figure.unit, NUMBER)


def figure_look(wire: str, limits: Limits = PLAIN, width: int = 8, height: int = 8) -> Look:
    """Return the unit, the thresholds and the size of a metric's panel."""
    figure = FIGURES[wire]
    scaled = limits.times(BASIS_POINTS_PER_ONE) if figure.unit == units.BASIS_POINTS else limits
    decimals = 2 if figure.unit in (units.MONEY, units.PLAIN, units.BASIS_POINTS) else None
    if figure.attribute in COUNTED:
        decimals = 0
    return Look(figure_unit(wire), scaled, NO_FIGURE, decimals, width, height)


def definitions(*wires: str) -> str:
    """Return the definitions of metrics, for a panel's description."""
    named = [DEFINITIONS[wire] for wire in wires]
    if len(named) == 1:
        return named[0].text
    return "\n".join(f"- {what.label}: {what.text}" for what in named)


def figure_panel(
    title: str, *wires: str, limits: Limits = PLAIN, width: int = 8, per_bot: bool = True
) -> timeseries.Panel:
    """Return a graph of metrics of one unit: reported as solid lines, computed as dashed ones."""
    several = len(wires) > 1
    subject = "{{bot}} {{source}}" if per_bot else "{{source}}"
    queries = [
        Query(figure_series(wire), f"{DEFINITIONS[wire].label} {subject}" if several else subject)
        for wire in wires
    ]
    look = figure_look(wires[0], limits, width)
    return time_series(title, definitions(*wires), queries, look, dashed="/computed/")


def percentiles_panel(
    title: str, stem: str, suffix: str, limits: Limits = PLAIN, width: int = 8
) -> timeseries.Panel:
    """Return a graph of the 50th, 95th and 99th percentile of a metric."""
    return figure_panel(
        title, *(f"{stem}P{share}{suffix}" for share in (50, 95, 99)), limits=limits, width=width
    )


def figure_stat(
    title: str, wire: str, limits: Limits = PLAIN, width: int = 4, legend: str = "{{bot}}"
) -> stat.Panel:
    """Return the latest value of a metric per bot."""
    look = figure_look(wire, limits, width, height=5)
    return single_stat(title, definitions(wire), [Query(one_per_bot(wire), legend)], look)


def age(kind: str = "") -> str:
    """Return a query for the seconds since each bot's last record of a kind, or of any that it sent."""
    selector = f'kind="{kind}"' if kind else 'kind!="computed"'
    series = f'botwatch_bot_last_record_timestamp_seconds{{bot=~"$bot", {selector}}}'
    return f"time() - max by (bot) ({series})"
