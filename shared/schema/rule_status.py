"""Status of each rule: the metrics that it reads, and which never arrived. From: evaluator. To: dashboard."""

import msgspec


class RuleStatus(msgspec.Struct, kw_only=True, rename="camel"):
    """The status of one rule; without values it can never open an alert."""

    name: str
    figures: list[str]
    """What it reads: metrics, names of metric records, record kinds."""
    subjects: int
    """Number of bots or hosts (and sets of labels) with a value."""
    never_seen: list[str]
    """Those of `figures` that never arrived."""
    warning: str | None = None
    """A probable mistake: an unknown metric, or a window too short for a difference."""
