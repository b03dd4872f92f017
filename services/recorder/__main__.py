"""Recorder: writes every record of the log to SQLite, and computes the bots' figures from them."""

from services.recorder.analyst import Analyst
from services.recorder.recorder import Recorder
from services.recorder.upkeep import Upkeep
from shared.runtime import clock, databases
from shared.runtime.documents import load_documents
from shared.runtime.fencing import fence
from shared.runtime.log import RecordLog
from shared.runtime.service import refusing, run, service, start
from shared.runtime.settings import Settings
from shared.store.patience import PatientWriter
from shared.store.tables import health_position, performance_position


def main() -> None:
    """Run the recorder until it is told to stop."""
    settings = start("recorder", Settings)
    with refusing("recorder"):
        documents = load_documents(settings.botwatch_config)
        performance = databases.performance_database(settings, documents)
        health = databases.health_database(settings, documents)
        performance.require_schema("performance_metrics")
        health.require_schema("health_metrics")
    with service("recorder", settings, single=True) as frame:
        frame.databases = (performance, health)
        writer = PatientWriter(frame.stopping)
        writer.beat = frame.pulse.beat
        frame.health.add("databases", writer.check)
        fence(frame, "recorder", performance, performance_position)
        fence(frame, "recorder", health, health_position)
        analyst = Analyst(performance, documents.performance, clock.now)
        writer.until_done(analyst.start)  # which reads far more of the file than the checks before it
        upkeep = Upkeep(performance, health, documents, clock.now, analyst.keep_from)
        record_log = RecordLog(
            frame.redis, lease=frame.lease, max_bots=0
        )  # no bot is new because of what is computed
        recorder = Recorder(record_log, performance, health, analyst, upkeep, frame.stopping, clock.now)
        recorder.know_bots()
        recorder.writer = writer
        frame.health.add("databases", recorder.check)
        run(frame, lambda: recorder.writer.endure(recorder.step))
    performance.close()
    health.close()


if __name__ == "__main__":
    main()
