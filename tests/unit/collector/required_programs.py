"""Programs that a test needs: without them it is skipped, in CI it fails."""

import os

import pytest


def require_program(path: str | None, reason: str) -> str:
    """Return the program's path; without it skip the test, or fail in CI."""
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path
