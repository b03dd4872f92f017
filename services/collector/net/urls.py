"""URLs that may have secrets in them: what is wrong with one is told without it."""

from urllib.parse import SplitResult, urlsplit


def split_url(url: str) -> SplitResult:
    """Split a URL; ValueError, without a part of it, when its host or port cannot be read."""
    try:
        parts = urlsplit(url)
        readable = parts.port != 0
    except ValueError:
        readable = False
    if not readable:
        raise ValueError("invalid URL: bad host or port (percent-encode special characters in passwords)")
    return parts
