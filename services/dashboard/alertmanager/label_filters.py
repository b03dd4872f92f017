"""Label filters: the parameter `filter` of Alertmanager's API, such as `severity=~"crit.*"`. Pure.

Source: `pkg/labels/parse.go` and `api/v2/compat` of Alertmanager 0.25, also for the error texts.
"""

import re
from collections.abc import Mapping, Sequence

from shared.schema.patterns import stored_regex
from shared.schema.silences import Matcher

MAX_FILTER = 4_096
MAX_FILTERS = 64
_FILTER = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:.-]*)\s*(=~|=|!=|!~)\s*(.*?)\s*", re.DOTALL)
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}


def parse_filters(texts: Sequence[str]) -> list[Matcher]:
    """Return the matchers of all filters. Raises ValueError with Alertmanager's words."""
    if len(texts) > MAX_FILTERS:
        raise ValueError(f"expected at most {MAX_FILTERS} filters, got {len(texts)}")
    return [parse_filter(text) for text in texts]


def parse_filter(text: str) -> Matcher:
    """Return the matcher of one filter; its value may be quoted. Raises ValueError."""
    found = _FILTER.fullmatch(text) if len(text) <= MAX_FILTER else None
    if found is None:
        raise ValueError(f"bad matcher format: {text[:MAX_FILTER]}")
    name, operator, value = found.groups()
    matcher = Matcher(name, _unquoted(value), is_regex="~" in operator, is_equal="!" not in operator)
    if matcher.error:
        raise ValueError(f"{name}: {matcher.error}")
    return matcher


def _unquoted(value: str) -> str:
    """Return a value without its quotes and escapes."""
    is_quoted = value.startswith('"')
    body, text, position = value.removeprefix('"'), "", 0
    while position < len(body):
        letter = body[position]
        if letter == '"':
            if not is_quoted or position < len(body) - 1:
                raise ValueError(f"matcher value contains unescaped double quote: {value}")
            return text
        if letter == "\\" and position < len(body) - 1:
            position += 1
            # Another letter needs no escape: the backslash is an ordinary character.
            letter = _ESCAPES.get(body[position], f"\\{body[position]}")
        text += letter
        position += 1
    if is_quoted:
        raise ValueError(f"matcher value contains unescaped double quote: {value}")
    return text


def matches_filters(matchers: Sequence[Matcher], values: Mapping[str, str]) -> bool:
    """Return whether the labels of an alert, or the patterns of a silence, pass all filters.

    An empty value asks whether there is one at all.
    """
    return all(_passes(matcher, values) for matcher in matchers)


def _passes(matcher: Matcher, values: Mapping[str, str]) -> bool:
    is_there = matcher.name in values
    if not matcher.value and is_there is not matcher.is_equal:
        return True
    return matcher.matches(values)


def matches_receiver(pattern: str, receivers: Sequence[str]) -> bool:
    """Return whether the anchored regex `pattern` matches a receiver. Raises ValueError if it is none."""
    compiled = stored_regex(pattern)
    if isinstance(compiled, str):
        raise ValueError(f"failed to parse receiver param: {compiled}")  # noqa: TRY004 - a fault of the request
    return any(compiled.fullmatch(name) for name in receivers)
