"""Recorder: writes every record of the log to SQLite."""

from services.recorder.recorder import Recorder
from shared.runtime import clock, databases
from shared.runtime.documents import load_documents
from shared.runtime.log import RecordLog
from shared.runtime.service import refuse, run, service, start
from shared.runtime.settings import Settings
from shared.schema.faults import InvalidError
from shared.store.database import SchemaMissingError


def main() -> None:
    """Run the recorder until it is told to stop."""
    settings = start("recorder", Settings)
    try:
        documents = load_documents(settings.botwatch_config)
        performance = databases.performance_database(settings, documents)
        health = databases.health_database(settings, documents)
        performance.require_schema("performance_metrics")
        health.require_schema("health_metrics")
    except (InvalidError, SchemaMissingError) as error:
        refuse("recorder", error)
    with service("recorder", settings) as frame:
        recorder = Recorder(RecordLog(frame.redis), performance, health, frame.stopping, clock.now)
        frame.health.add("databases", recorder.check)
        run(frame, recorder.step)
    performance.close()
    health.close()


if __name__ == "__main__":
    main()
