"""Recorder: writes every record of the log to SQLite."""

from services.recorder.recorder import Recorder
from shared.runtime import clock, databases
from shared.runtime.documents import load_documents
from shared.runtime.log import RecordLog
from shared.runtime.service import refusing, run, service, start
from shared.runtime.settings import Settings


def main() -> None:
    """Run the recorder until it is told to stop."""
    settings = start("recorder", Settings)
    with refusing("recorder"):
        documents = load_documents(settings.botwatch_config)
        performance = databases.performance_database(settings, documents)
        health = databases.health_database(settings, documents)
        performance.require_schema("performance_metrics")
        health.require_schema("health_metrics")
    with service("recorder", settings) as frame:
        recorder = Recorder(RecordLog(frame.redis), performance, health, frame.stopping, clock.now)
        frame.health.add("databases", recorder.check)
        run(frame, recorder.step)
    performance.close()
    health.close()


if __name__ == "__main__":
    main()
