"""The API token of a command: BOTWATCH_TOKEN, or that of the Botwatch on this machine."""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

TOKEN_FILE = Path("secrets", "botwatch", "api-token")
"""Below BOTWATCH_HOME; `botwatch up` creates it."""
HOMES = ("var", "var/demo")
"""Where BOTWATCH_HOME is by default, without and with the demo bot."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def find_token(url: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the token for requests to `url`, empty if there is none.

    BOTWATCH_TOKEN or the file of BOTWATCH_TOKEN_FILE, else, for this machine only, the token that Botwatch
    made for its commands. Raises OSError if BOTWATCH_TOKEN_FILE cannot be read.
    """
    if path := environ.get("BOTWATCH_TOKEN_FILE"):
        return Path(path).read_text(encoding="utf-8").strip()
    if token := environ.get("BOTWATCH_TOKEN", ""):
        return token
    if urlsplit(url).hostname not in LOOPBACK:
        return ""
    homes = [environ["BOTWATCH_HOME"]] if environ.get("BOTWATCH_HOME") else HOMES
    for home in homes:
        try:
            return (Path(home) / TOKEN_FILE).read_text(encoding="utf-8").strip()
        except OSError:  # not there, or of another user: the server says whether it needs one
            continue
    return ""
