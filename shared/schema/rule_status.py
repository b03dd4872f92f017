"""How each rule stands: what it listens to, and what of that never came. From: evaluator. To: dashboard."""

import msgspec


class RuleStatus(msgspec.Struct, kw_only=True, rename="camel"):
    """One rule; without values it can never open an alert."""

    name: str
    figures: list[str]
    """What it listens to: figures, names of metric records, kinds of records."""
    subjects: int
    """Of how many bots or hosts (and sets of labels) it has seen a value."""
    never_seen: list[str]
    """Those of `figures` that never came."""
    warning: str | None = None
    """What is probably a mistake: a figure that nothing has, or a window too short for a difference."""
