"""The dashboards fit the types of the Grafana that compose runs; the Python SDK ends at an older one."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from grafana.generate import FOLDER
from shared.runtime.settings import REPOSITORY
from tests.support import require_program

pytestmark = pytest.mark.slow  # installs packages, starts a compiler

SCHEMA = REPOSITORY / "grafana" / "schema"
INTERVAL_ONLY = ("auto", "auto_min", "auto_count")
"""What the SDK writes for every variable, although only those of intervals have it; Grafana ignores it."""
TYPES = """
import type { AnnotationQuery, Dashboard, DataQuery } from "@grafana/schema";

// JSON has the values of enums, not their names.
type Values<T> = T extends string ? `${T}` : T extends number ? number
  : T extends object ? { [K in keyof T]: Values<T[K]> } : T;
// Title and tags are read by the Prometheus data source; the schema leaves them to data sources.
type PrometheusAnnotation = AnnotationQuery<DataQuery & { expr: string }>
  & { titleFormat: string; tagKeys: string };
type Board = Values<Omit<Dashboard, "annotations"> & { annotations: { list: PrometheusAnnotation[] } }>;
"""
COMPILER = ("--strict", "--noEmit", "--skipLibCheck", "--target", "ES2022")
MODULES = ("--module", "NodeNext", "--moduleResolution", "NodeNext")


def installed_compiler() -> Path:
    """Return TypeScript's compiler beside Grafana's types, from the lock; skips where there is no npm."""
    require_program("node")
    npm = require_program("npm")
    done = SCHEMA / "node_modules" / ".package-lock.json"
    if not done.exists() or done.stat().st_mtime < (SCHEMA / "package-lock.json").stat().st_mtime:
        run(npm, "ci", "--ignore-scripts")
    return SCHEMA / "node_modules" / ".bin" / "tsc"


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program and return what it did; fails with its output."""
    done = subprocess.run(
        list(map(str, words)), cwd=SCHEMA, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def as_typescript(name: str, dashboard: dict[str, Any]) -> str:
    """Return a constant that the compiler holds against the type of dashboards."""
    for variable in dashboard["templating"]["list"]:
        for key in INTERVAL_ONLY:
            variable.pop(key, None)
    return f"export const {name}: Board = {json.dumps(dashboard, indent=1)};\n"


def check(dashboards: dict[str, dict[str, Any]]) -> None:
    """Compile the dashboards against Grafana's types; fails with what does not fit."""
    compiler = installed_compiler()
    source = SCHEMA / "node_modules" / "dashboards.ts"
    source.write_text(TYPES + "".join(as_typescript(*pair) for pair in dashboards.items()), encoding="utf-8")
    run(compiler, *COMPILER, *MODULES, source)


def test_every_dashboard_fits_grafanas_own_types() -> None:
    check({path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json")})


def test_what_does_not_fit_is_found() -> None:
    dashboard = json.loads((FOLDER / "desk.json").read_text(encoding="utf-8"))
    panel = next(one for one in dashboard["panels"] if one["type"] == "stat")
    panel["fieldConfig"]["defaults"]["thresholds"]["mode"] = "relative"
    with pytest.raises(AssertionError, match="relative"):
        check({"desk": dashboard})
