"""The version is written once for each of the two distributions, and is the same for both."""

import json
import tomllib

from botwatch import version as client_version
from shared.runtime.settings import REPOSITORY
from shared.version import VERSION


def test_client_and_server_have_the_same_version() -> None:
    """A release raises `shared/version.py`, `client/botwatch/version.py`, and `npm version` the third."""
    assert client_version.VERSION == VERSION
    for name in ("package.json", "package-lock.json"):
        document = json.loads((REPOSITORY / "clients" / "typescript" / name).read_text(encoding="utf-8"))
        assert document["version"] == VERSION


def test_the_packaging_reads_the_version_from_the_code() -> None:
    """Neither `pyproject.toml` has a number of its own."""
    for path, source in (
        ("pyproject.toml", "shared.version.VERSION"),
        ("client/pyproject.toml", "botwatch.version.VERSION"),
    ):
        document = tomllib.loads((REPOSITORY / path).read_text(encoding="utf-8"))
        assert document["project"]["dynamic"] == ["version"]
        assert document["tool"]["setuptools"]["dynamic"]["version"] == {"attr": source}


def test_images_are_labelled_with_the_version() -> None:
    """A release also changes the label in the Dockerfile."""
    dockerfile = (REPOSITORY / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    assert f"org.opencontainers.image.version={VERSION}\n" in dockerfile
