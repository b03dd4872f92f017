"""Rule trials: what to try on the past, and how it goes. From: dashboard. To: jobs. Pure."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

JOB = "rule-trials"
MAX_DAYS = 90
MAX_DRAFT_LENGTH = 20_000
KEPT = timedelta(days=7)
"""How long the result of a trial is kept."""

TrialStatus = Literal["waiting", "running", "done", "failed", "cancelled"]


class TrialRequest(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The body of `POST /api/monitoring/rules/try`: a loaded rule, or a draft."""

    rule: Annotated[str, Meta(min_length=1, max_length=512)] | None = None
    """Name of a loaded rule."""
    draft: Annotated[str, Meta(min_length=1, max_length=MAX_DRAFT_LENGTH)] | None = None
    """A condition as in `alerting.conditions` of `performance_logger.json`, in YAML or JSON."""
    days: Annotated[int, Meta(ge=1, le=MAX_DAYS)] = 30

    def __post_init__(self) -> None:
        if (self.rule is None) == (self.draft is None):
            raise ValueError("expected exactly one of `rule` and `draft`")


class TrialRun(msgspec.Struct, kw_only=True, rename="camel"):
    """A requested trial."""

    id: str
    rule: str
    """Name of the rule."""
    is_draft: bool
    condition: str
    """The rule as a condition, JSON."""
    days: int
    status: TrialStatus = "waiting"
    progress: float = 0.0
    """Share that is done, 0 to 1."""
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None = None
    error: str | None = None
    """Why it failed, or was cancelled."""
