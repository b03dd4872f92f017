"""`python -m services.collector`: wiring only."""

from services.collector.collector import Collector
from services.collector.config import CollectorSettings, host_name
from services.collector.host import Host
from shared.runtime import service
from shared.runtime.documents import load_documents
from shared.runtime.log import RecordLog


def main() -> None:
    """Collect until told to stop."""
    settings = service.start("collector", CollectorSettings)
    with service.refusing("collector"):
        section = load_documents(settings.botwatch_config).health.monitoring
        host = Host(host_name(settings), settings.host_proc, settings.host_root)
    collector = Collector(host, section)
    with service.service("collector", settings) as frame:
        frame.health.add("samples", collector.check)
        record_log = RecordLog(frame.redis)
        service.run(frame, lambda: collector.step(record_log, frame.stopping))


if __name__ == "__main__":
    main()
