"""Markup: what records say, as chats show it: mentioning nobody, hiding no address behind words. Pure.

Chats differ in what they read as markup, and most have no way to switch it off. A zero-width space cannot be
seen and takes the meaning from mentions and links; backslashes make the rest of Markdown plain.
"""

import re

_BREAK = "\u200b"
_MENTION = re.compile(r"(?<![\w.+-])@(?=\S)")
"""An @ within a word is an address: no chat takes that for a mention, except Discord, see `apprise.py`."""
_TAG = re.compile(r"<(?=[^\s=])")
"""`<!channel>`, `<at user_id="all">`, `<http://evil.example|click>`."""
_ADDRESS = re.compile(r"https?://[^\s\[\]()<>*`|\\]+")
_MARKDOWN = re.compile(r"([\\`*_~|\[\]<>#])")


def neutralize(text: str) -> str:
    """Return `text` without mentions, tags and links behind other words; it looks the same."""
    text = _ADDRESS.sub(lambda address: address[0].replace("/@", "/%40"), text)
    return _TAG.sub(f"<{_BREAK}", _MENTION.sub(f"@{_BREAK}", text)).replace("](", f"]{_BREAK}(")


def escape_markdown(text: str) -> str:
    """Return `text` so that Markdown shows it as it is; addresses stay links."""
    found, end = [], 0
    for address in _ADDRESS.finditer(text):
        found += [_MARKDOWN.sub(r"\\\1", text[end : address.start()]), address[0]]
        end = address.end()
    return "".join((*found, _MARKDOWN.sub(r"\\\1", text[end:])))
