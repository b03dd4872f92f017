"""Recorder: writes every record of the log to SQLite, and computes the bots' metrics from them."""

from services.recorder.metrics_calculator import MetricsCalculator
from services.recorder.recorder import Recorder
from shared.runtime import clock, databases
from shared.runtime.config.documents import load_documents
from shared.runtime.database_fencing import fence
from shared.runtime.redis.record_log import RecordLog
from shared.runtime.service import configure_part, exit_on_invalid_config, run_loop, running_part
from shared.runtime.settings import PartSettings
from shared.store.retrying_writer import RetryingWriter
from shared.store.tables import health_position, performance_position


def main() -> None:
    """Run the recorder until stopped."""
    settings = configure_part("recorder", PartSettings)
    with exit_on_invalid_config("recorder"):
        documents = load_documents(settings.botwatch_config)
        performance = databases.performance_database(settings, documents)
        health = databases.health_database(settings, documents)
        performance.require_schema("performance_metrics")
        health.require_schema("health_metrics")
    with running_part("recorder", settings, single=True) as frame:
        frame.databases = (performance, health)
        writer = RetryingWriter(frame.stopping)
        writer.beat = frame.pulse.touch
        frame.health.add("databases", writer.check)
        fence(frame, "recorder", performance, performance_position)
        fence(frame, "recorder", health, health_position)
        calculator = MetricsCalculator(performance, documents.performance, clock.now)
        writer.write_until_done(
            calculator.start
        )  # which reads far more of the file than the checks before it
        record_log = RecordLog(
            frame.redis, lease=frame.lease, max_bots=0
        )  # no bot is new because of what is computed
        disk = databases.disk_of(performance.url)
        recorder = Recorder(record_log, performance, health, calculator, frame.stopping, clock.now, disk)
        recorder.register_known_bots()
        recorder.writer = writer
        frame.health.add("databases", recorder.check)
        run_loop(frame, lambda: recorder.writer.run_step(recorder.step))
    performance.close()
    health.close()


if __name__ == "__main__":
    main()
