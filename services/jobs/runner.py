"""Job runner: runs one job and records in `job_runs` when it ran, how long it took and how it ended."""

import pkgutil
from datetime import datetime

import structlog

from services.jobs.config import next_due
from services.jobs.context import JobContext, JobFunction, open_context
from shared.runtime.logging_setup import redact_credentials
from shared.schema.jobs import Job
from shared.store.job_runs import record_failure, record_start, record_success

log = structlog.get_logger()

MAX_ERROR_LENGTH = 300


def run_job(job: Job) -> None:
    """Run `job` with the settings and config documents of now; raise what it raises."""
    with open_context() as context:
        run_recorded(context.settings.scheduled_jobs()[job.name], resolve(job), context)


def resolve(job: Job) -> JobFunction:
    """Return the function of a job."""
    function: JobFunction = pkgutil.resolve_name(job.function)
    return function


def run_recorded(job: Job, function: JobFunction, context: JobContext) -> None:
    """Run `function` as `job` and record the run; raise what it raises."""
    with context.health.write() as connection:
        record_start(connection, job.name, context.now())
    try:
        result = function(context)
    except Exception as error:
        with context.health.write() as connection:
            record_failure(connection, job.name, describe_error(error), context.now())
        raise
    now = context.now()
    with context.health.write() as connection:
        record_success(connection, job.name, result, now, next_run(job, now))
    log.info("job finished", job=job.name, **result)


def describe_error(error: Exception) -> str:
    """Return the type and the first line of an error, without credentials."""
    text = redact_credentials(str(error).partition("\n")[0])
    return f"{type(error).__name__}: {text}"[:MAX_ERROR_LENGTH]


def next_run(job: Job, after: datetime) -> datetime:
    """Return the first time after `after` at which `job` is due."""
    return next_due(job.cron, after)
