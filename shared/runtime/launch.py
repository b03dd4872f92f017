"""`python -m shared.runtime.launch PART MODULE…`: run a part without the secrets of other parts.

Natively supervisor starts every part with the same environment; the secrets of other parts are removed before
the part starts, also from /proc/PID/environ. The part gets the digests of Botwatch's own tokens and, with the
embedded Redis, the URL of its own user.
"""

import json
import os
import sys
from pathlib import Path

from shared.runtime.redis.acl import filter_environment

CREDENTIALS = "BOTWATCH_CREDENTIALS"
"""The variable with the folder of credentials."""
PRIVATE = "BOTWATCH_PRIVATE"
"""The variable with JSON: names of variables to the only parts that may see them."""


def main() -> None:
    """Replace this process with the part."""
    part, *module = sys.argv[1:]
    environ = dict(os.environ)
    private = json.loads(environ.pop(PRIVATE, "{}"))
    environ = filter_environment(part, environ, private)
    if folder := environ.pop(CREDENTIALS, ""):
        if environ.get("EMBEDDED_REDIS") == "true":
            environ["REDIS_URL_FILE"] = str(Path(folder) / part / "redis-url")
        if (tokens := Path(folder) / part / "internal-tokens").exists():  # the demo bot has no port
            environ["INTERNAL_TOKENS_FILE"] = str(tokens)
    os.execve(sys.executable, [sys.executable, "-m", *module], environ)  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main()
