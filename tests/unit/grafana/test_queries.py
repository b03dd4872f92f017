"""Queries of dashboards are filled in and merged as Grafana does it."""

import pytest

from grafana.panel_drawings import table_rows
from grafana.queries import PanelTarget, Series, chosen_values, expand

DASHBOARD = {
    "templating": {
        "list": [
            {"name": "venue", "type": "query", "includeAll": True, "allValue": ".*"},
            {"name": "bot", "type": "query", "includeAll": True},
            {"name": "one", "type": "query"},
        ]
    }
}


def test_all_is_every_value_or_what_the_variable_says() -> None:
    offered = {"venue": ["kraken"], "bot": ["a.b", "c"], "one": ["first", "second"]}
    assert chosen_values(DASHBOARD, offered) == {"venue": ".*", "bot": r"(a\\.b|c)", "one": "first"}


def test_variables_are_filled_in() -> None:
    assert expand('x{bot=~"$bot"}[$__range]', {"bot": "(a|b)", "__range": "300s"}) == 'x{bot=~"(a|b)"}[300s]'
    with pytest.raises(KeyError):
        expand("x{$other}", {})


def test_rows_with_the_same_labels_are_one() -> None:
    """A table's queries are merged by the labels that they share; values have their column's colours."""
    steps = {"steps": [{"value": None, "color": "green"}, {"value": 1, "color": "red"}]}
    cells = [{"id": "unit", "value": "locale"}, {"id": "thresholds", "value": steps}]
    names = {"bot": "Bot", "venue": "Venue", "Value #B": "Alerts"}
    panel = {
        "transformations": [
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"renameByName": names}},
        ],
        "fieldConfig": {
            "defaults": {}, "overrides": [{"matcher": {"options": "Alerts"}, "properties": cells}],
        },
    }  # fmt: skip
    venue, alerts = (PanelTarget("d", "p", ref, "", "", instant=True, unit="locale") for ref in "AB")
    titles, rows = table_rows(
        panel,
        [
            (venue, [Series({"bot": "a", "venue": "kraken"}, [(0, 1)])]),
            (alerts, [Series({"bot": "a"}, [(0, 2)]), Series({"bot": "b"}, [(0, 0)])]),
        ],
    )
    assert titles == ["Bot", "Venue", "Alerts"]
    assert rows == [
        {"Bot": ("a", ""), "Venue": ("kraken", ""), "Alerts": ("2", "red")},
        {"Bot": ("b", ""), "Alerts": ("0", "green")},
    ]
