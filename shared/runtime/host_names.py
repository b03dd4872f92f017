"""Host names as the network carries them: ASCII, with non-ASCII labels in their `xn--` form (IDNA 2008)."""

import idna


def ascii_host(host: str) -> str:
    """Return `host` in ASCII; one that is ASCII already is returned as it is. Raises UnicodeError."""
    return host if host.isascii() else idna.encode(host, uts46=True).decode()
