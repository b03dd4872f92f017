"""Drafts of rules: a condition as text, YAML or JSON, before it is written into the documents."""

from typing import Any

import msgspec

from shared.runtime.config.documents import decode_yaml, describe_syntax_error
from shared.schema.conditions import Condition
from shared.schema.faults import Fault, InvalidError, struct_faults


def parse_draft(text: str, path: str = "$.draft") -> Condition:
    """Return the condition that a draft describes; a list with one condition is one too.

    Raises InvalidError, with every fault and its place in the text.
    """
    data = text.encode()
    try:
        value: Any = decode_yaml(data)
    except (ValueError, RecursionError) as error:
        raise InvalidError([Fault(path, describe_syntax_error(data, error))]) from error
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    if not isinstance(value, dict):
        raise InvalidError([Fault(path, "expected one condition, such as `metricName: maxDrawdown`")])
    if faults := struct_faults(value, Condition, path):
        raise InvalidError(faults)
    return msgspec.convert(value, Condition)
