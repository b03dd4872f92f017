"""Building blocks of the dashboards, on Grafana's SDK: panels, variables, links, annotations, layout.

A panel's identifier and its place on Grafana's grid of 24 columns follow from the order.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.limits import GREEN, PLAIN, Limits

DATASOURCE = models.DataSourceRef("prometheus", "${datasource}")
DATASOURCE_UID = "botwatch-prometheus"
"""The uid that provisioning/datasources gives to Prometheus; the variable's default."""
FOLDER_UID = TAG = "botwatch"
PAGE = "${botwatch_url}"
COLUMNS = 24

MONEY = COUNT = "locale"
"""With separators and in full: 9,140.25, not 9.14 K. The account's currency is not known to Prometheus."""
BASIS_POINTS = "suffix: bps"
RATIO, SECONDS, BYTES, BYTES_PER_SECOND, PER_SECOND = "percentunit", "s", "bytes", "Bps", "cps"
NUMBER = "none"
NOTHING_SCRAPED = "No data: is Botwatch running, and does Prometheus scrape it (Status → Targets)?"

PanelBuilder = timeseries.Panel | stat.Panel | statetimeline.Panel | table.Panel
P = TypeVar("P", timeseries.Panel, stat.Panel, statetimeline.Panel, table.Panel)


@dataclass(frozen=True)
class Query:
    """A PromQL expression and its legend; Grafana fills in `{{label}}`."""

    expr: str
    legend: str = "{{bot}}"


@dataclass(frozen=True)
class Look:
    """What all kinds of panels have: unit, thresholds, the text where there is no data, and the size."""

    unit: str = COUNT
    limits: Limits = PLAIN
    empty: str = NOTHING_SCRAPED
    decimals: int | None = None
    width: int = 8
    height: int = 8
    names: Mapping[int, str] = field(default_factory=dict)
    """Texts shown instead of values."""


def time_series(
    title: str, about: str, queries: Sequence[Query], look: Look, *, stacked: bool = False, dashed: str = "",
    colours: Mapping[str, str] | None = None,
) -> timeseries.Panel:  # fmt: skip
    """Return a graph. `dashed` is a regular expression: series whose name matches are drawn dashed.

    `colours` are those of series by their legend.
    """
    panel = _panel(timeseries.Panel(), title, about, look)
    for ref, query in zip(_refs(), queries, strict=False):
        panel.with_target(_target(ref, query).range())
    mode = common_models.StackingMode.NORMAL if stacked else common_models.StackingMode.NONE
    lines = common_models.GraphThresholdsStyleMode.DASHED
    off = common_models.GraphThresholdsStyleMode.OFF
    panel.line_width(1).fill_opacity(30 if stacked else 8).span_nulls(60_000)
    panel.show_points(common_models.VisibilityMode.NEVER)
    panel.stacking(common.StackingConfig().mode(mode))
    panel.thresholds_style(
        common.GraphThresholdsStyleConfig().mode(lines if len(look.limits.steps) > 1 else off)
    )
    panel.legend(
        common.VizLegendOptions()
        .display_mode(common_models.LegendDisplayMode.LIST)
        .placement(common_models.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs([])
    )
    panel.tooltip(
        common.VizTooltipOptions()
        .mode(common_models.TooltipDisplayMode.MULTI)
        .sort(common_models.SortOrder.DESCENDING)
    )
    for name, colour in (colours or {}).items():
        fixed = {"mode": "fixed", "fixedColor": colour}
        panel.override_by_name(name, [models.DynamicConfigValue("color", fixed)])
    if dashed:
        style = {"fill": "dash", "dash": [8, 6]}
        panel.override_by_regexp(dashed, [models.DynamicConfigValue("custom.lineStyle", style)])
    return panel


def single_stat(
    title: str, about: str, queries: Sequence[Query], look: Look, colours: Mapping[str, str] | None = None
) -> stat.Panel:
    """Return a panel of latest values, coloured by the thresholds.

    `colours` are those of values by their legend, where any is bad; green where there is none.
    """
    colours = colours or {}
    panel = _panel(stat.Panel(), title, about, look)
    for ref, query in zip(_refs(), queries, strict=False):
        panel.with_target(_target(ref, query).instant())
    panel.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
    modes = common_models.BigValueColorMode
    panel.color_mode(modes.BACKGROUND if len(look.limits.steps) > 1 or colours else modes.NONE)
    for name, colour in colours.items():
        panel.override_by_name(name, [models.DynamicConfigValue("thresholds", _any_is(colour))])
    panel.graph_mode(common_models.BigValueGraphMode.NONE)
    one = len(queries) == 1 and "{{" not in queries[0].legend
    text = common_models.BigValueTextMode
    panel.text_mode(text.VALUE if one else text.VALUE_AND_NAME)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
    return panel


def state_timeline(title: str, about: str, queries: Sequence[Query], look: Look) -> statetimeline.Panel:
    """Return a panel of states over time, coloured by the thresholds."""
    panel = _panel(statetimeline.Panel(), title, about, look)
    for ref, query in zip(_refs(), queries, strict=False):
        panel.with_target(_target(ref, query).range())
    panel.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
    panel.merge_values(True).show_value(common_models.VisibilityMode.NEVER).row_height(0.8)
    panel.line_width(0).fill_opacity(70)
    return panel


@dataclass(frozen=True)
class Column:
    """A column of a table: its title and the query whose value it shows."""

    title: str
    expr: str
    unit: str = COUNT
    limits: Limits = PLAIN
    decimals: int | None = None


def latest_table(
    title: str, about: str, labels: Mapping[str, str], columns: Sequence[Column], look: Look,
    row_link: tuple[str, str] = ("", ""),
) -> table.Panel:  # fmt: skip
    """Return a table of latest values with a row per combination of `labels` (label → its title).

    `row_link` is a title and a URL for the first label's cells. A column without a title is not shown: its
    query adds labels.
    """
    panel = _panel(table.Panel(), title, about, look)
    panel.align(common_models.FieldTextAlignment.AUTO).inspect(False)
    names = {label: name for label, name in labels.items() if name}
    hidden = {"Time": True, **{label: True for label, name in labels.items() if not name}}
    for ref, column in zip(_refs(), columns, strict=False):
        panel.with_target(_target(ref, Query(column.expr, "")).instant().format(PromQueryFormat.TABLE))
        value = f"Value #{ref}" if len(columns) > 1 else "Value"
        if column.title:
            names[value] = column.title
            panel.override_by_name(column.title, _cell(column))
        else:
            hidden[value] = True
    order = {name: index for index, name in enumerate(names)}
    panel.with_transformation(models.DataTransformerConfig("merge", options={}))
    organize = {"excludeByName": hidden, "renameByName": names, "indexByName": order}
    panel.with_transformation(models.DataTransformerConfig("organize", options=organize))
    if row_link[1]:
        link = {"title": row_link[0], "url": row_link[1]}
        first = next(name for name in labels.values() if name)
        panel.override_by_name(first, [models.DynamicConfigValue("links", [link])])
    return panel


def _any_is(colour: str) -> dict[str, object]:
    steps = [{"value": None, "color": GREEN}, {"value": 1, "color": colour}]
    return {"mode": "absolute", "steps": steps}


def _cell(column: Column) -> list[models.DynamicConfigValue]:
    properties = [models.DynamicConfigValue("unit", column.unit)]
    if column.decimals is not None:
        properties.append(models.DynamicConfigValue("decimals", column.decimals))
    if len(column.limits.steps) > 1:
        steps = [{"value": value, "color": colour} for value, colour in column.limits.steps]
        thresholds = {"mode": "absolute", "steps": steps}
        properties.append(models.DynamicConfigValue("thresholds", thresholds))
        properties.append(
            models.DynamicConfigValue("custom.cellOptions", {"type": "color-background", "mode": "basic"})
        )
    return properties


def _panel(panel: P, title: str, about: str, look: Look) -> P:
    limits = look.limits
    if limits.rule:
        about += f" Thresholds: rule `{limits.rule}`."
    panel.title(title).description(about).datasource(DATASOURCE).span(look.width).height(look.height)
    panel.unit(look.unit).no_value(look.empty)
    steps = dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(limits.thresholds())
    panel.thresholds(steps)
    if look.decimals is not None:
        panel.decimals(look.decimals)
    if look.names:
        texts = {str(value): models.ValueMappingResult(text) for value, text in look.names.items()}
        panel.mappings([models.ValueMap(texts)])
    if limits.runbook:
        panel.links([_link(f"Runbook: {limits.runbook}", f"{PAGE}/runbooks/{limits.runbook}")])
    return panel


def _target(ref: str, query: Query) -> prometheus.Dataquery:
    built = prometheus.Dataquery().ref_id(ref).expr(query.expr).datasource(DATASOURCE)
    return built.legend_format(query.legend)


def _refs() -> Iterable[str]:
    return (chr(ord("A") + index) for index in itertools.count())


def _link(title: str, url: str) -> dashboard.DashboardLink:
    link = dashboard.DashboardLink(title).type(models.DashboardLinkType.LINK).url(url)
    return link.target_blank(True).icon("external link")


def label_variable(
    name: str, label: str, query: str, about: str, *, several: bool = True, any_value: bool = False
) -> dashboard.QueryVariable:
    """Return a variable with the values of a label. With `any_value`, All also selects series without it."""
    variable = dashboard.QueryVariable(name).label(label).description(about).datasource(DATASOURCE)
    variable.query({"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"})
    variable.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
    variable.sort(models.VariableSort.ALPHABETICAL_ASC)
    if several:
        variable.multi(True).include_all(True).current(models.VariableOption(True, ["All"], ["$__all"]))
        if any_value:
            variable.all_value(".*")
    return variable


def bot_variables(*, several: bool = True) -> tuple[dashboard.QueryVariable, ...]:
    """Return the variables that select bots: by venue, then by name."""
    venue = label_variable(
        "venue", "Venue", "label_values(botwatch_bot_info, venue)",
        "Venues or brokers, from the bots' label `venue` or `exchange`.", any_value=True,
    )  # fmt: skip
    bot = label_variable(
        "bot", "Bot", 'label_values(botwatch_bot_info{venue=~"$venue"}, bot)',
        "Bots at these venues.", several=several,
    )  # fmt: skip
    return (venue, bot)


HOST_VARIABLE_QUERY = "label_values(botwatch_host_uptime_seconds, host)"


def host_variable() -> dashboard.QueryVariable:
    """Return the variable that selects hosts."""
    return label_variable("host", "Host", HOST_VARIABLE_QUERY, "Hosts with a collector.")


class PrometheusAnnotation(models.AnnotationQuery):
    """An annotation from a query to Prometheus, with what the SDK lacks: query, title and tags."""

    def __init__(self, name: str, expr: str, colour: str, title: str, tags: str) -> None:
        super().__init__(name, DATASOURCE, icon_color=colour)
        target = {"refId": "Anno", "expr": expr}
        self.further = {"target": target, "titleFormat": title, "tagKeys": tags}

    def to_json(self) -> dict[str, object]:
        """Return Grafana's JSON."""
        return super().to_json() | self.further


def alert_annotation(selector: str) -> PrometheusAnnotation:
    """Return annotations while alerts of a selection are open."""
    expr = f"max by (rule, bot, host, severity) (botwatch_alert_firing{{{selector}}})"
    return PrometheusAnnotation("Open alerts", expr, "red", "{{rule}} {{bot}}{{host}}", "severity")


def event_annotation(selector: str) -> PrometheusAnnotation:
    """Return annotations where bots sent events; a counter begins with its first event."""
    series = f"botwatch_bot_events_total{{{selector}}}"
    expr = f"sum by (bot, level) (increase({series}[1m])) > 0 or ({series} unless {series} offset 1m) > 0"
    return PrometheusAnnotation("Bot events", expr, "blue", "{{bot}}: {{level}}", "level")


@dataclass(frozen=True)
class Row:
    """Panels below a heading. A collapsed row asks nothing until somebody opens it."""

    title: str
    panels: Sequence[PanelBuilder]
    collapsed: bool = True


@dataclass(frozen=True, eq=False)
class Board:
    """A dashboard: `name` makes its uid and file name, `page` is the view of Botwatch's page on the same."""

    name: str
    title: str
    about: str
    rows: Sequence[Row]
    page: str
    variables: Sequence[dashboard.QueryVariable] = ()
    annotations: Sequence[PrometheusAnnotation] = ()
    links: Sequence[tuple[str, str]] = ()
    since: str = "now-1h"

    @property
    def uid(self) -> str:
        """The permanent address."""
        return f"botwatch-{self.name}"

    def build(self) -> models.Dashboard:
        """Return the dashboard as Grafana's SDK has it."""
        board = dashboard.Dashboard(self.title).uid(self.uid).description(self.about).tags([TAG])
        board.readonly().tooltip(models.DashboardCursorSync.CROSSHAIR)
        board.refresh("30s").time(self.since, "now").timezone("browser")
        board.variables([_datasource_variable(), *self.variables, _page_variable()])
        others = dashboard.DashboardLink("Dashboards").type(models.DashboardLinkType.DASHBOARDS)
        others.tags([TAG]).as_dropdown(True).include_vars(True).keep_time(True).icon("external link")
        own = (("Botwatch's page", PAGE + self.page), *self.links)
        board.links([others, *(_link(title, url) for title, url in own)])
        built = board.build()
        built.annotations = models.AnnotationContainer(list(self.annotations))
        built.panels = _laid_out(self.rows)
        return built


def _datasource_variable() -> dashboard.DatasourceVariable:
    variable = dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    return variable.current(models.VariableOption(True, "Prometheus", DATASOURCE_UID))


def _page_variable() -> dashboard.QueryVariable:
    """Return the hidden variable with the address of Botwatch's page, which the dashboard part exports."""
    about = "Address of Botwatch's page: DASHBOARD_URL."
    variable = label_variable(
        "botwatch_url", "Page", "label_values(botwatch_dashboard_info, url)", about, several=False
    )
    return variable.hide(models.VariableHide.HIDE_VARIABLE)


def _laid_out(rows: Iterable[Row]) -> list[models.Panel | models.RowPanel]:
    """Place rows and panels from left to right and from top to bottom, with identifiers in that order."""
    numbers, top = itertools.count(1), 0
    found: list[models.Panel | models.RowPanel] = []
    for row in rows:
        place = models.GridPos(1, COLUMNS, 0, top)
        heading = models.RowPanel(row.collapsed, row.title, grid_pos=place, id_val=next(numbers))
        built: list[models.Panel] = [builder.build() for builder in row.panels]
        bottom = _place(built, top + 1)
        for panel in built:
            panel.id_val = next(numbers)
        found.append(heading)
        if row.collapsed:
            heading.panels = built
        else:
            found.extend(built)
        top = top + 1 if row.collapsed else bottom
    return found


def _place(panels: Iterable[models.Panel], top: int) -> int:
    """Give each panel its place, below `top`; return where the next row begins."""
    left = height = 0
    for panel in panels:
        size = panel.grid_pos or models.GridPos()
        if left + size.w > COLUMNS:
            left, top, height = 0, top + height, 0
        panel.grid_pos = models.GridPos(size.h, size.w, left, top)
        left, height = left + size.w, max(height, size.h)
    return top + height
