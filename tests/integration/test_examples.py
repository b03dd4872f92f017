"""The README's examples in Python and TypeScript, as they are printed, against a running Botwatch."""

import json
from pathlib import Path

import pytest

from tests.integration.stack import BotwatchProcess
from tests.readme import OUTPUT, run_python_example
from tests.support import wait_until
from tests.typescript import CLIENT, install_package, install_tools, run, run_readme_example

pytestmark = pytest.mark.integration


@pytest.fixture
def environ(stack: BotwatchProcess) -> dict[str, str]:
    """Return the addresses of a Botwatch whose collector has sampled this host."""
    wait_until(lambda: stack.dashboard("/api/monitoring/health"), "a host")
    return {
        "BOTWATCH_URL": f"http://127.0.0.1:{stack.ports['DASHBOARD_PORT']}",
        "BOTWATCH_INGESTION_URL": f"http://127.0.0.1:{stack.ports['INGESTION_PORT']}",
    }


def portfolio_value(stack: BotwatchProcess, bot: str) -> float | None:
    """Return what Botwatch knows of a bot."""
    known = stack.dashboard("/api/monitoring")["performance"].get(bot, {})
    value: float | None = known.get("portfolioValue")
    return value


def test_the_python_example(stack: BotwatchProcess, environ: dict[str, str], tmp_path: Path) -> None:
    """It prints what the seed's example prints, and its record arrives."""
    printed = run_python_example(tmp_path, **environ)
    assert OUTPUT.match(printed), printed
    wait_until(lambda: portfolio_value(stack, "turbo-bot") == 12500, "the record")


def test_the_typescript_example(stack: BotwatchProcess, environ: dict[str, str], tmp_path: Path) -> None:
    """Compiled in strict mode with the package alone; an alert that does not exist ends nothing."""
    install_package(tmp_path)
    printed = run_readme_example(tmp_path, BOTWATCH_BOT="turbo-ts", **environ)
    assert OUTPUT.match(printed), printed
    wait_until(lambda: portfolio_value(stack, "turbo-ts") == 12500, "the record")


def test_the_tests_of_the_typescript_client() -> None:
    """Its own tests: what waits, what is dropped, what is refused, against a server that hangs or is full."""
    install_tools()
    assert "# fail 0" in run("npm", "test")


def test_the_types_of_the_typescript_client_are_the_servers(stack: BotwatchProcess, tmp_path: Path) -> None:
    """`npm run generate` gives what is committed; run it after a change of the API or of a record."""
    install_tools()
    document = stack.dashboard("/api/openapi.json")
    (tmp_path / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    run("node", "scripts/generate.mjs", str(tmp_path / "openapi.json"), str(tmp_path / "made"))
    for name in ("api.ts", "records.ts"):
        committed = (CLIENT / "src" / "generated" / name).read_text(encoding="utf-8")
        assert (tmp_path / "made" / name).read_text(encoding="utf-8") == committed, name
