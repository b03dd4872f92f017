"""The README's examples in Python and TypeScript, as they are printed, against the compose stack."""

from pathlib import Path

import pytest

from tests.readme import OUTPUT, run_python_example
from tests.stack.compose import ComposeStack, wait_until
from tests.typescript import install_package, run_readme_example


@pytest.fixture
def environ(stack: ComposeStack) -> dict[str, str]:
    """Return the published addresses."""
    wait_until(lambda: stack.request("DASHBOARD", "/api/monitoring/health")[1])
    return {
        "BOTWATCH_URL": f"http://127.0.0.1:{stack.ports['DASHBOARD']}",
        "BOTWATCH_INGESTION_URL": f"http://127.0.0.1:{stack.ports['INGESTION']}",
    }


def portfolio_value(stack: ComposeStack, bot: str) -> float | None:
    """Return what Botwatch knows of a bot."""
    _, answer = stack.request("DASHBOARD", "/api/monitoring")
    value: float | None = answer["performance"].get(bot, {}).get("portfolioValue")
    return value


def test_the_python_example(stack: ComposeStack, environ: dict[str, str], tmp_path: Path) -> None:
    printed = run_python_example(tmp_path, **environ)
    assert OUTPUT.match(printed), printed
    assert wait_until(lambda: portfolio_value(stack, "turbo-bot")) == 12500


def test_the_typescript_example(stack: ComposeStack, environ: dict[str, str], tmp_path: Path) -> None:
    install_package(tmp_path)
    printed = run_readme_example(tmp_path, BOTWATCH_BOT="turbo-ts", **environ)
    assert OUTPUT.match(printed), printed
    assert wait_until(lambda: portfolio_value(stack, "turbo-ts")) == 12500
