"""Thresholds: the rules on hosts in `health_monitor.json`."""

from typing import Annotated

from msgspec import Meta

from shared.schema.conditions import Document

Limit = Annotated[float, Meta(ge=0, le=100)]


class Threshold(Document, kw_only=True):
    """Limits of a resource's usage in percent: warning and critical."""

    warning: Limit | None = None
    critical: Limit | None = None

    def __post_init__(self) -> None:
        if self.warning is not None and self.critical is not None and self.warning > self.critical:
            raise ValueError(
                f"`warning`: expected at most `critical` ({self.critical:g}), got {self.warning:g}"
            )


class Thresholds(Document, kw_only=True):
    """The rules for hosts."""

    cpu: Threshold | None = None
    memory: Threshold | None = None
    disk: Threshold | None = None
