"""Escape external text for terminals and log lines."""


def escape_controls(text: str) -> str:
    r"""Return `text` with every character that a terminal would act on written as an escape.

    That is all of C0 and C1 (`\x1b` begins colours, titles and cursor moves), line breaks, and Unicode's
    invisible format characters: bidirectional overrides make a line look like another one (CVE-2021-42574).
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
