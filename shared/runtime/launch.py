"""`python -m shared.runtime.launch PART MODULE…`: become a part, without the secrets of the others.

Natively supervisor starts every part with one environment; what a part must not see is gone before it begins,
also from /proc/PID/environ. Where Redis is embedded, the part gets the URL of its own user.
"""

import json
import os
import sys
from pathlib import Path

from shared.runtime.redis.acl import filter_environment

CREDENTIALS = "BOTWATCH_CREDENTIALS"
"""The variable with the folder of credentials, empty where Redis is not ours."""
PRIVATE = "BOTWATCH_PRIVATE"
"""The variable that says in JSON which parts alone see a variable: name to parts."""


def main() -> None:
    """Replace this process."""
    part, *module = sys.argv[1:]
    environ = dict(os.environ)
    private = json.loads(environ.pop(PRIVATE, "{}"))
    environ = filter_environment(part, environ, private)
    if folder := environ.pop(CREDENTIALS, ""):
        environ["REDIS_URL_FILE"] = str(Path(folder) / part / "redis-url")
    os.execve(sys.executable, [sys.executable, "-m", *module], environ)  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main()
