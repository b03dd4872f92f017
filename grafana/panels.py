"""Building blocks of a dashboard: rows of panels, each with a title, queries and a unit.

Panel identifiers and positions on Grafana's grid of 24 columns follow from the order.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

DATASOURCE = {"type": "prometheus", "uid": "botwatch-prometheus"}
"""The uid that provisioning/datasources/prometheus.yml gives the datasource."""
COLUMNS = 24

Json = dict[str, object]
OVER_TIME = ("timeseries", "state-timeline")
"""Panel types that show a time range; the others show the latest value."""
Steps = Sequence[tuple[float | None, str]]
"""Threshold colours, each from a value upwards; the first step has no value."""


@dataclass(frozen=True)
class PanelQuery:
    """A PromQL expression and its legend; Grafana fills in `{{label}}`."""

    expr: str
    legend: str = "{{bot}}"


@dataclass(frozen=True)
class Panel:
    """One panel. `unit` is a Grafana unit ID; `about` is the panel's description."""

    title: str
    queries: Sequence[PanelQuery]
    unit: str = "short"
    about: str = ""
    kind: str = "timeseries"
    steps: Steps = ((None, "green"),)
    stacked: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    """Texts shown for values (value mappings)."""
    dashed: str = ""
    """A regular expression: series whose name matches are drawn dashed."""

    def render(self, number: int, place: Json) -> Json:
        """Return Grafana's JSON of the panel."""
        instant = self.kind not in OVER_TIME
        return {
            "id": number,
            "title": self.title,
            "description": self.about,
            "type": self.kind,
            "datasource": DATASOURCE,
            "gridPos": place,
            "targets": [
                {
                    "refId": chr(ord("A") + i),
                    "datasource": DATASOURCE,
                    "expr": query.expr,
                    "legendFormat": query.legend,
                    "instant": instant,
                    "range": not instant,
                }
                for i, query in enumerate(self.queries)
            ],
            "fieldConfig": {"defaults": self._defaults(), "overrides": self._overrides()},
            "options": self._options(),
        }

    def _defaults(self) -> Json:
        defaults: Json = {
            "unit": self.unit,
            "thresholds": {
                "mode": "absolute",
                "steps": [{"value": value, "color": colour} for value, colour in self.steps],
            },
        }
        if self.names:
            options = {value: {"text": text} for value, text in self.names.items()}
            defaults["mappings"] = [{"type": "value", "options": options}]
        if self.kind == "timeseries":
            defaults["custom"] = {
                "lineWidth": 1,
                "fillOpacity": 30 if self.stacked else 8,
                "showPoints": "never",
                "spanNulls": 60_000,
                "stacking": {"mode": "normal" if self.stacked else "none"},
                "thresholdsStyle": {"mode": "dashed" if len(self.steps) > 1 else "off"},
            }
        else:
            defaults["color"] = {"mode": "thresholds"}
        return defaults

    def _overrides(self) -> list[Json]:
        if not self.dashed or self.kind != "timeseries":
            return []
        style = {"fill": "dash", "dash": [8, 6]}
        return [
            {
                "matcher": {"id": "byRegexp", "options": self.dashed},
                "properties": [{"id": "custom.lineStyle", "value": style}],
            }
        ]

    def _options(self) -> Json:
        if self.kind == "timeseries":
            return {
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        if self.kind == "state-timeline":
            return {"mergeValues": True, "showValue": "never", "rowHeight": 0.8}
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "background",
            "graphMode": "none",
            "textMode": "value_and_name",
        }


@dataclass(frozen=True)
class Row:
    """Panels of equal width below a heading; `across` panels per line, or all."""

    title: str
    panels: Sequence[Panel]
    height: int = 8
    across: int | None = None


@dataclass(frozen=True)
class Variable:
    """A template variable at the top of a dashboard: the values of a label."""

    name: str
    label: str
    query: str

    def render(self) -> Json:
        """Return Grafana's JSON of the variable; all values are selected by default."""
        return {
            "name": self.name,
            "label": self.label,
            "type": "query",
            "datasource": DATASOURCE,
            "definition": self.query,
            "query": {"query": self.query, "refId": "A"},
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": ["All"], "value": ["$__all"]},
        }


@dataclass(frozen=True)
class GrafanaDashboard:
    """A dashboard; `uid` is its permanent address and its file name."""

    uid: str
    title: str
    rows: Sequence[Row]
    variables: Sequence[Variable] = ()
    annotations: Sequence[Json] = ()

    def render(self) -> Json:
        """Return Grafana's JSON of the dashboard."""
        return {
            "uid": f"botwatch-{self.uid}",
            "title": self.title,
            "tags": ["botwatch"],
            "schemaVersion": 39,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "5s",
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "browser",
            "links": [{"type": "dashboards", "tags": ["botwatch"], "title": "Botwatch", "asDropdown": False}],
            "templating": {"list": [variable.render() for variable in self.variables]},
            "annotations": {"list": list(self.annotations)},
            "panels": list(_laid_out(self.rows)),
        }


def _laid_out(rows: Sequence[Row]) -> Iterator[Json]:
    number = top = 0
    for row in rows:
        number += 1
        place: Json = {"h": 1, "w": COLUMNS, "x": 0, "y": top}
        heading: Json = {"id": number, "type": "row", "title": row.title, "gridPos": place}
        yield {**heading, "collapsed": False, "panels": []}
        top += 1
        across = row.across or len(row.panels)
        width = COLUMNS // across
        for index, panel in enumerate(row.panels):
            number += 1
            line, column = divmod(index, across)
            place = {"h": row.height, "w": width, "x": column * width, "y": top + line * row.height}
            yield panel.render(number, place)
        top += row.height * -(-len(row.panels) // across)
