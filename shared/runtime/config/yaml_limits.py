"""Limits of YAML documents: with aliases, a document of a few lines can expand to gigabytes. Pure."""

from yaml import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    CSafeLoader,
    Event,
    NodeEvent,
    ScalarEvent,
    YAMLError,
    parse,
)

MAX_EXPANDED_SIZE = 500_000
"""Characters and values of a document with all aliases expanded; the shipped ones have 10,000."""
MAX_DEPTH = 100
"""Levels of nested lists and maps."""


def validate_yaml_size(data: bytes) -> None:
    """Raise ValueError when a document is too large with its aliases expanded, or nested too deeply.

    What is not YAML passes: the decoder reports it.
    """
    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = [(None, 0)]
    try:
        for event in parse(data, Loader=CSafeLoader):
            anchor, size = _node(event, sizes)
            if isinstance(event, CollectionStartEvent):
                open_.append((anchor, size))
                if len(open_) > MAX_DEPTH:
                    raise ValueError(f"expected at most {MAX_DEPTH} levels of nesting")
                continue
            if isinstance(event, CollectionEndEvent):
                anchor, size = open_.pop()
            if anchor:
                sizes[anchor] = size
            open_[-1] = (open_[-1][0], open_[-1][1] + size)
            if open_[-1][1] > MAX_EXPANDED_SIZE:
                raise ValueError(
                    f"expected at most {MAX_EXPANDED_SIZE} characters and values with every alias "
                    "written out: "
                    "an alias (*name) repeats everything at its anchor (&name)"
                )
    except YAMLError:
        return


def _node(event: Event, sizes: dict[str, int]) -> tuple[str | None, int]:
    """Return the anchor and the expanded size of an event's node."""
    if isinstance(event, AliasEvent):
        if event.anchor not in sizes:
            raise ValueError(
                f"alias *{event.anchor} is inside its own anchor, or the anchor is not defined before it"
            )
        return None, sizes[event.anchor]
    if isinstance(event, ScalarEvent):
        return event.anchor, 1 + len(event.value)
    return (event.anchor, 1) if isinstance(event, NodeEvent) else (None, 0)
