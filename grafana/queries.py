"""Every query of a dashboard, and its results from a Prometheus: what Grafana would ask, without Grafana.

It reads the dashboards' JSON, as Grafana does.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import urllib3

Json = dict[str, Any]
ROW, TIME_SERIES, STATE_TIMELINE, STAT, TABLE = "row", "timeseries", "state-timeline", "stat", "table"
_LABEL_VALUES = re.compile(r"label_values\((.+),\s*(\w+)\)")
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
_TIMEOUT = urllib3.Timeout(connect=5, read=30)


class PrometheusError(Exception):
    """Prometheus refused a query; the message has the query and its answer."""


class Series(NamedTuple):
    """A series of a result: its labels, and its points as (seconds, value)."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


class PanelTarget(NamedTuple):
    """One query of a panel."""

    dashboard: str
    panel: str
    ref: str
    expr: str
    legend: str
    instant: bool
    unit: str

    @property
    def name(self) -> str:
        """Dashboard, panel and letter."""
        return f"{self.dashboard} / {self.panel} / {self.ref}"


class PrometheusClient:
    """Asks a Prometheus as Grafana's data source does, over a range that ends now."""

    def __init__(self, url: str, end: float, range_s: int = 300, step_s: int = 2) -> None:
        self._url, self._http = url.rstrip("/"), urllib3.PoolManager()
        self._end, self._range_s, self._step_s = end, range_s, step_s

    def run(self, expr: str, *, instant: bool, values: Mapping[str, str]) -> list[Series]:
        """Return the series of a query with its variables filled in. Raises PrometheusError."""
        text = expand(expr, {**values, "__range": f"{self._range_s}s", "__interval": f"{self._step_s}s"})
        if instant:
            found = self._get("query", {"query": text, "time": str(self._end)})["result"]
            return [Series(one["metric"], [_point(one["value"])]) for one in found]
        times = {"start": str(self._end - self._range_s), "end": str(self._end), "step": str(self._step_s)}
        found = self._get("query_range", {"query": text, **times})["result"]
        return [Series(one["metric"], [_point(point) for point in one["values"]]) for one in found]

    def label_values(self, query: str, values: Mapping[str, str]) -> list[str]:
        """Return the values of a variable's query `label_values(series, label)`."""
        parts = _LABEL_VALUES.fullmatch(query)
        if parts is None:
            raise PrometheusError(f"expected label_values(series, label), got {query}")
        fields = {
            "match[]": expand(parts[1], values),
            "start": str(self._end - self._range_s),
            "end": str(self._end),
        }
        found: list[str] = self._get(f"label/{parts[2]}/values", fields)
        return found

    def _get(self, path: str, fields: Mapping[str, str]) -> Any:  # noqa: ANN401 - Prometheus' JSON
        answer = self._http.request(
            "GET", f"{self._url}/api/v1/{path}", fields=dict(fields), timeout=_TIMEOUT, retries=False
        )
        body = answer.json() if answer.headers.get("Content-Type", "").startswith("application/json") else {}
        if body.get("status") != "success":
            raise PrometheusError(f"{fields}: {body.get('error') or answer.status}")
        return body["data"]


def expand(expr: str, values: Mapping[str, str]) -> str:
    """Return a query with its variables filled in; KeyError if one is unknown."""
    return _VARIABLE.sub(lambda match: values[match[1]], expr)


def variable_values(dashboard: Json, client: PrometheusClient) -> dict[str, list[str]]:
    """Return what each query variable of a dashboard offers; later ones depend on earlier ones."""
    found: dict[str, list[str]] = {}
    chosen: dict[str, str] = {}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            name = variable["name"]
            found[name] = client.label_values(variable["query"]["query"], chosen)
            chosen[name] = _choice(variable, found[name])
    return found


def chosen_values(dashboard: Json, offered: Mapping[str, list[str]]) -> dict[str, str]:
    """Return what Grafana fills in for each variable when a dashboard is opened: All, or the first value."""
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    return {name: _choice(variables[name], values) for name, values in offered.items()}


def _choice(variable: Json, offered: Sequence[str]) -> str:
    if not variable.get("includeAll"):
        return offered[0] if offered else ""
    return str(variable.get("allValue") or f"({'|'.join(map(_literal, offered))})")


def _literal(value: str) -> str:
    """Return a value for a regular expression within a PromQL string, as Grafana escapes it."""
    return re.sub(r"([\\^$*+?.()|\[\]{}/])", r"\\\\\1", value)


def panels(dashboard: Json) -> Iterator[Json]:
    """Yield every panel but the rows, those of collapsed rows too."""
    for panel in dashboard["panels"]:
        if panel["type"] == ROW:
            yield from panel["panels"]
        else:
            yield panel


def targets(dashboard: Json) -> Iterator[PanelTarget]:
    """Yield every query of every panel."""
    for panel in panels(dashboard):
        yield from targets_of(dashboard["uid"], panel)


def targets_of(dashboard: str, panel: Json) -> Iterator[PanelTarget]:
    """Yield every query of a panel."""
    for target in panel["targets"]:
        yield PanelTarget(
            dashboard,
            panel["title"],
            target["refId"],
            target["expr"],
            target["legendFormat"],
            bool(target["instant"]),
            _unit(panel, target["refId"]),
        )


def annotations(dashboard: Json) -> Iterator[tuple[str, str]]:
    """Yield the name and the query of every annotation."""
    for annotation in dashboard["annotations"]["list"]:
        yield annotation["name"], annotation["target"]["expr"]


def _unit(panel: Json, ref: str) -> str:
    """Return the unit of a query's value: of its column in a table, else of the panel."""
    fields: Json = panel["fieldConfig"]
    for transformation in panel.get("transformations", ()):
        titles = transformation["options"].get("renameByName", {})
        title = titles.get(f"Value #{ref}") or titles.get("Value")
        for override in fields["overrides"]:
            if title and override["matcher"]["options"] == title:
                return next(str(one["value"]) for one in override["properties"] if one["id"] == "unit")
    return str(fields["defaults"].get("unit", ""))


def _point(pair: Sequence[Any]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])
