"""`python -m services.collector`: wiring only."""

from services.collector.collector import Collector
from services.collector.config import CollectorSettings, host_name
from services.collector.host import Host
from services.collector.place import Place
from services.collector.posting import DoorSender
from services.collector.record import check_record
from services.collector.registry import probes_of
from services.collector.retired import GONE, retire
from services.collector.rounds import Rounds
from services.collector.sending import LogSender, Sender, Sending
from services.collector.spool import Spool
from shared.runtime import clock, service
from shared.runtime.documents import load_documents
from shared.runtime.log import RecordLog
from shared.runtime.redis import connect

CALL_TIMEOUT_S = 2.0
"""For a call to Redis: samples wait for it, and what it does not take in time waits on disk."""


def main() -> None:
    """Collect until told to stop."""
    settings = service.start("collector", CollectorSettings)
    with service.refusing("collector"):
        section = load_documents(settings.botwatch_config).health.monitoring
        state = settings.botwatch_home / "collector"
        place = Place(host_name(settings), settings.host_proc, settings.host_root, state)
        watched = probes_of(section, place)
        host = Host(place.name, place.proc, place.root)
    has_redis = settings.collector_url is None
    with service.service("collector", settings, needs_redis=False, has_redis=has_redis) as frame:
        spool = Spool(settings.botwatch_home / "spool" / "collector")
        sending = Sending(_sender(settings), spool)
        gone = retire(place.state, watched)
        now, first = clock.now(), len(watched)  # numbers that no check has
        sending.send(
            [
                check_record(place.name, name, kind, GONE, now, number)
                for number, (name, kind) in enumerate(gone.items(), first)
            ]
        )
        collector = Collector(host, section, Rounds(place.name, watched), sending)
        frame.health.add("samples", collector.check)
        service.run(frame, lambda: collector.step(frame.stopping))


def _sender(settings: CollectorSettings) -> Sender:
    if settings.collector_url:
        return DoorSender(settings.collector_url, settings.collector_token or settings.ingest_token)
    # A call is not sent twice at once: samples would wait for it, and the spool sends it again anyway.
    return LogSender(RecordLog(connect(settings.redis_url, call_timeout_s=CALL_TIMEOUT_S, retries=0)))


if __name__ == "__main__":
    main()
