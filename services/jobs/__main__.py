"""Jobs: runs background work on a schedule, one job at a time, each in a process of its own."""

from prometheus_client import REGISTRY

from services.jobs.backups.metrics import BackupMetrics
from services.jobs.config import JobsSettings
from services.jobs.scheduler import JobScheduler, QueueLength
from services.jobs.sizes import SizeMetrics
from shared.runtime import clock, databases
from shared.runtime.config.documents import load_documents
from shared.runtime.service import configure_part, exit_on_invalid_config, run_loop, running_part
from shared.store.database import Database
from shared.store.fork_lock import guard_forks


def main() -> None:
    """Run jobs until stopped."""
    settings = configure_part("jobs", JobsSettings)
    with exit_on_invalid_config("jobs"):
        jobs = settings.validated().scheduled_jobs()
        documents = load_documents(settings.botwatch_config)
        # Opened for each use: a job's process is a fork, which must not share a connection with this one.
        health = Database(
            databases.database_url(settings, documents.health.database),
            afresh=True,
            sync_commits=settings.durability == "always",
        )
        health.require_schema("job_runs")
        performance = databases.performance_database(settings, documents)  # never opened here
    guard_forks()  # threads read the tables of tokens and sizes
    with running_part("jobs", settings, single=True) as frame:
        frame.databases = (health,)
        REGISTRY.register(BackupMetrics(settings.botwatch_home))
        REGISTRY.register(SizeMetrics({"performance": performance, "health": health}))
        REGISTRY.register(QueueLength(frame.redis))
        scheduler = JobScheduler(frame.redis, health, frame.stopping, frame.pulse.touch, clock.now, jobs=jobs)
        frame.health.add("jobs", scheduler.check)
        run_loop(frame, scheduler.step)
        scheduler.close()
    health.close()


if __name__ == "__main__":
    main()
