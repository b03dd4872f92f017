"""Escaping of text from records for chats: no mentions, no hidden links. Pure.

Chats differ in their markup, and most cannot switch it off. An invisible zero-width space disables mentions
and links; backslashes escape the rest of Markdown.
"""

import re

_BREAK = "\u200b"
_MENTION = re.compile(r"(?<![\w.+-])@(?=\S)")
"""An @ within a word is an address: no chat but Discord reads it as a mention, see `apprise.py`."""
_TAG = re.compile(r"<(?=[^\s=])")
"""`<!channel>`, `<at user_id="all">`, `<http://evil.example|click>`."""
_ADDRESS = re.compile(r"https?://[^\s\[\]()<>*`|\\]+")
_MARKDOWN = re.compile(r"([\\`*_~|\[\]<>#])")


def neutralize(text: str) -> str:
    """Return `text` with mentions, tags and hidden links disabled; it looks the same."""
    text = _ADDRESS.sub(lambda address: address[0].replace("/@", "/%40"), text)
    return _TAG.sub(f"<{_BREAK}", _MENTION.sub(f"@{_BREAK}", text)).replace("](", f"]{_BREAK}(")


def escape_markdown(text: str) -> str:
    """Return `text` escaped for Markdown; URLs stay links."""
    found, end = [], 0
    for address in _ADDRESS.finditer(text):
        found += [_MARKDOWN.sub(r"\\\1", text[end : address.start()]), address[0]]
        end = address.end()
    return "".join((*found, _MARKDOWN.sub(r"\\\1", text[end:])))
