"""Audit check job: verifies the chain, appends the counts of denied requests, removes entries by policy."""

from collections.abc import Mapping
from datetime import timedelta

from services.jobs.context import JobContext
from shared.runtime.audit_key import audit_key
from shared.store.audit import append_denials, prune_audit, verify_audit


class AuditFaultError(Exception):
    """The audit log was changed; the message names the first entry that is wrong."""


def check_audit(context: JobContext) -> Mapping[str, int]:
    """Verify the audit log, then fold and prune it; return the numbers of entries.

    Raises AuditFaultError, which makes the job fail and the alert `botwatch-job-failing` open: nothing is
    removed from a log that was changed.
    """
    key, now = audit_key(context.home), context.now()
    with context.health.write() as connection:
        folded = append_denials(connection, now, key)
    with context.health.read() as connection:
        report = verify_audit(connection, key)
    if report.fault:
        entry, problem = report.fault
        raise AuditFaultError(f"audit log: entry {entry} {problem}; run `botwatch audit verify`")
    pruned = 0
    if days := context.settings.audit_retention_days:
        with context.health.write() as connection:
            pruned = prune_audit(connection, now - timedelta(days=days), now, key)
    return {"verified": report.entries, "folded": folded, "pruned": pruned}
