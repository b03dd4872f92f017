"""The environment of each part: what all parts may see, and its own secrets.

supervisord starts with the variables that all parts may see. The secrets of a part are in a file without a
name, which only supervisord has open: they are not on a disk, in `/proc/PID/environ`, or in the memory of
another part.
"""

import json
import os
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from shared.runtime.redis.acl import SECRETS, filter_environment

CREDENTIALS = "BOTWATCH_CREDENTIALS"
"""The variable with the folder of credentials."""
PRIVATE_FILES = "BOTWATCH_PRIVATE_FILES"
"""The variable with JSON: parts to the descriptor of the file with their secrets."""


@contextmanager
def supervisor_environment(
    environ: Mapping[str, str], private: Mapping[str, Collection[str]]
) -> Iterator[tuple[dict[str, str], list[int]]]:
    """Yield the environment for supervisord, and the descriptors that it has to inherit.

    `private` has further secrets: names of variables to the parts that need them.
    """
    public = filter_environment("", environ, private)
    files = {}
    for part in {*SECRETS, *(part for parts in private.values() for part in parts)}:
        own = filter_environment(part, environ, private)
        if secrets := {name: own[name] for name in own.keys() - public.keys()}:
            files[part] = _unnamed_file(json.dumps(secrets).encode())
    try:
        yield {**public, PRIVATE_FILES: json.dumps(files)}, list(files.values())
    finally:
        for descriptor in files.values():
            os.close(descriptor)


def part_environment(part: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of `part`; `environ` is supervisord's.

    The part gets the digests of Botwatch's own tokens and, with the embedded Redis, the URL of its own user.
    """
    own = dict(environ)
    files = json.loads(own.pop(PRIVATE_FILES, "{}"))
    if part in files:
        own |= json.loads(os.pread(files[part], os.fstat(files[part]).st_size, 0))
    if folder := own.pop(CREDENTIALS, ""):
        if own.get("EMBEDDED_REDIS") == "true":
            own["REDIS_URL_FILE"] = str(Path(folder) / part / "redis-url")
        if (tokens := Path(folder) / part / "internal-tokens").exists():  # the demo bot has no port
            own["INTERNAL_TOKENS_FILE"] = str(tokens)
    return own


def _unnamed_file(content: bytes) -> int:
    """Return the descriptor of a file with `content` that ends with the last process that has it open."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("secrets")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.write(descriptor, content)
    return descriptor
