"""Jobs: background work that takes seconds to minutes, by name, and how each last ran. Pure.

A producer enqueues a job by its name alone and never imports the worker; Redis never names code to run.
"""

from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal, NamedTuple

import msgspec

QUEUE = "botwatch-jobs"
"""The RQ queue: `rq:queue:botwatch-jobs` in Redis."""
RETRY_INTERVALS_S = (5, 30, 120)
"""Pauses before a failed job is tried again, seconds."""
ATTEMPTS = 1 + len(RETRY_INTERVALS_S)
"""After as many failures in a row a job is failing: an alert opens."""
OVERDUE_AFTER = timedelta(minutes=30)
"""How late a job may finish; longer than any time limit below."""

REPORTS = "reports"
"""The job that builds reports: those asked for, and those that a schedule is due for."""

Outcome = Literal["running", "success", "failure"]
JobStatus = Literal["pending", "running", "ok", "failing", "overdue"]


class Job(NamedTuple):
    """A job as it is scheduled."""

    name: str
    """Its name in Redis, in `job_runs`, in the API and in metrics."""
    function: str
    """`module:function`; takes a `JobContext`, returns counts of what it did, and may be run again."""
    cron: str
    """When it runs, as a cron expression in local time; a setting may change it."""
    timeout_s: int
    """Time limit; a run that takes longer fails."""


JOBS = MappingProxyType(
    {
        job.name: job
        for job in (
            Job("retention", "services.jobs.retention:remove_expired_rows", "7 * * * *", 900),
            Job("wal-checkpoint", "services.jobs.storage:truncate_wals", "22 * * * *", 60),
            Job("vacuum", "services.jobs.storage:reclaim_free_pages", "37 3 * * *", 900),
            Job("rule-trials", "services.jobs.rule_trials:run_rule_trials", "57 * * * *", 300),
            Job("audit-check", "services.jobs.audit.upkeep:check_audit", "12 * * * *", 300),
            Job("audit-shipping", "services.jobs.audit.shipping:ship_audit", "42 * * * *", 300),
            Job("database-sizes", "services.jobs.sizes:store_sizes", "2 0 * * *", 900),
            Job("clean-files", "services.jobs.clean_files:delete_old_files", "32 4 * * *", 300),
            Job("log-archive", "services.jobs.log_archive:archive_logs", "52 * * * *", 300),
            Job(REPORTS, "services.jobs.reports.job:run_reports", "*/5 * * * *", 1200),
            Job("backup", "services.jobs.backups.jobs:back_up", "17 2 * * *", 1500),
            Job("backup-upload", "services.jobs.backups.jobs:upload", "42 * * * *", 1500),
            Job("backup-verify", "services.jobs.backups.jobs:verify", "47 4 * * 0", 1500),
        )
    }
)
"""Every job; nothing else is run."""


class JobRun(msgspec.Struct, kw_only=True, frozen=True):
    """The last run of a job."""

    name: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    duration_ms: int | None = None
    outcome: Outcome | None = None
    error: str | None = None
    result: dict[str, int] = {}
    """Counts of what it did."""
    failures: int = 0
    """Failed runs since the last success."""
    last_success_at: datetime | None = None
    next_due_at: datetime

    @property
    def is_failing(self) -> bool:
        """Whether every attempt has failed."""
        return self.failures >= ATTEMPTS

    def status(self, now: datetime) -> JobStatus:
        """Return the status at `now`; a run that failed counts as failing while it is retried."""
        if self.outcome == "running":
            return "running"
        if self.failures:
            return "failing"
        if now > self.next_due_at + OVERDUE_AFTER:
            return "overdue"
        return "ok" if self.outcome else "pending"
