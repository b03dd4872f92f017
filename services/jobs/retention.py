"""Retention job: deletes rows older than `retentionDays`, in small batches."""

from collections import Counter
from collections.abc import Mapping
from itertools import chain

from services.jobs.context import JobContext
from shared.store.retention import (
    COMPUTED_RETENTION,
    ROLLUP_RETENTION,
    metrics_floor,
    remove_health,
    remove_performance,
    retention_limit,
)


def remove_expired_rows(context: JobContext) -> Mapping[str, int]:
    """Delete expired rows of both databases; return their number by table."""
    now, documents = context.now(), context.documents
    days = documents.performance.database.retention_days
    batches = chain(
        remove_performance(
            context.performance,
            retention_limit(now, days),
            metrics_floor(context.performance, now, days),
            computed_before=now - COMPUTED_RETENTION,
        ),
        remove_health(
            context.health,
            retention_limit(now, documents.health.database.retention_days),
            retention_limit(now, documents.alert_retention_days),
            now - ROLLUP_RETENTION,
        ),
    )
    removed = Counter[str]()
    for batch in context.paced(batch for batch in batches if batch.rows):
        removed[batch.table] += batch.rows
    if removed:
        context.append_audit("records.purge", "expired rows", removed)
    return removed
