"""Settings of the jobs part and of the commands that work with backups."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Self

from msgspec import Meta
from rq.cron import CronJob

from services.jobs.syslog import parse_syslog_url
from shared.runtime.http.urls import parse_http_url
from shared.runtime.settings import PartSettings
from shared.schema.faults import Fault, InvalidError
from shared.schema.jobs import JOBS, QUEUE, Job

EVERY_MINUTE = "* * * * *"


class JobsSettings(PartSettings, frozen=True, kw_only=True):
    """Settings of the jobs part."""

    backup_schedule: str = JOBS["backup"].cron
    """When `backup` runs: a cron expression in local time."""
    backup_verify_schedule: str = JOBS["backup-verify"].cron
    """When `backup-verify` runs."""
    backup_public_key: str = ""
    """Backups are encrypted to this key: `age1…`, or an SSH public key."""
    botwatch_key: str = ""
    """Encrypts the secrets in a backup, if there is no public key."""
    secrets_folder: Path | None = None
    """The folder of passwords and keys; `secrets` in the home if it is not set."""
    backup_url: str = ""
    """`s3://bucket/prefix`: where backups are uploaded."""
    backup_endpoint: str = ""
    """URL of an S3-compatible service other than Amazon's."""
    backup_region: str = ""
    backup_access_key_id: str = ""
    backup_secret_access_key: str = ""
    audit_syslog: str = ""
    """`udp://`, `tcp://` or `tls://` with host and port: where audit entries are sent as syslog messages."""
    audit_webhook_url: str = ""
    """URL that audit entries are posted to."""
    audit_webhook_secret: str = ""
    """Key that signs the posts (HMAC-SHA256)."""
    audit_retention_days: Annotated[int, Meta(ge=0)] = 0
    """Days that audit entries are kept; 0: forever."""
    file_retention_days: Annotated[int, Meta(ge=0)] = 30
    """Days that files in `results` and `tmp/monitoring` are kept; 0: forever."""

    def scheduled_jobs(self) -> dict[str, Job]:
        """Return every job, by name, with the schedule that is set for it."""
        schedules = {"backup": self.backup_schedule, "backup-verify": self.backup_verify_schedule}
        if self.audit_syslog or self.audit_webhook_url:
            schedules["audit-shipping"] = EVERY_MINUTE
        return {name: job._replace(cron=schedules.get(name, job.cron)) for name, job in JOBS.items()}

    def validated(self) -> Self:
        """Return these settings. Raises InvalidError."""
        faults = [
            Fault(name, f"expected a cron expression such as 17 2 * * *, got {cron[:40]!r}")
            for name, cron in (
                ("BACKUP_SCHEDULE", self.backup_schedule),
                ("BACKUP_VERIFY_SCHEDULE", self.backup_verify_schedule),
            )
            if not _is_cron(cron)
        ]
        if self.backup_url and not self.backup_url.startswith("s3://"):
            faults.append(Fault("BACKUP_URL", "expected s3://BUCKET/PREFIX"))
        for name, url, parse in (
            ("AUDIT_SYSLOG", self.audit_syslog, parse_syslog_url),
            ("AUDIT_WEBHOOK_URL", self.audit_webhook_url, parse_http_url),
        ):
            try:
                _ = url and parse(url)
            except ValueError as error:
                faults.append(Fault(name, str(error)))
        if faults:
            raise InvalidError(faults)
        return self


def _is_cron(text: str) -> bool:
    try:
        next_due(text, datetime.now().astimezone())
    except ValueError:
        return False
    return True


def next_due(cron: str, after: datetime) -> datetime:
    """Return the first time after `after` that a cron expression matches; ValueError if it is none."""
    schedule = CronJob(QUEUE, func_name="schedule", cron=cron)
    schedule.set_enqueue_time(after)
    return schedule.get_next_enqueue_time()
