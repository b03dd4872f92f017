"""Every job's name resolves, and only the jobs part may write the queue."""

from datetime import UTC, datetime, timedelta

import pytest

from services.jobs.runner import next_run, resolve
from shared.runtime.redis.acl import USERS
from shared.schema.jobs import JOBS, OVERDUE_AFTER, Job

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize("job", JOBS.values(), ids=lambda job: job.name)
def test_every_job_resolves_and_has_a_schedule(job: Job) -> None:
    """The function is in the jobs part, the cron expression valid, the time limit below the alert's."""
    assert callable(resolve(job))
    assert job.function.startswith("services.jobs.")
    assert next_run(job, NOON) > NOON
    assert timedelta(0) < timedelta(seconds=job.timeout_s) < OVERDUE_AFTER


def test_only_the_jobs_part_may_use_the_keys_of_rq() -> None:
    """No other Redis user but the operator reads or writes `rq:…`."""
    allowed = {user for user, rights in USERS.items() if "~rq:" in rights or "~* " in f"{rights} "}
    assert allowed == {"jobs", "botwatch"}
