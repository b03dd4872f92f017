"""`python -m services.collector`: wiring only."""

from services.collector.checks.registry import load_checks
from services.collector.checks.saved_state import REMOVED, replace_known_checks
from services.collector.checks.scheduler import CheckScheduler, check_record
from services.collector.collector import Collector
from services.collector.config import CollectorSettings, host_name
from services.collector.forwarding.forwarder import Forwarder, RecordSink, RedisSink
from services.collector.forwarding.http_sink import HttpSink
from services.collector.forwarding.spool import Spool
from services.collector.host.sampler import HostSampler
from services.collector.host.watched_host import WatchedHost
from shared.runtime import clock, service
from shared.runtime.config.documents import load_documents
from shared.runtime.redis.connection import connect_redis
from shared.runtime.redis.record_log import RecordLog

CALL_TIMEOUT_S = 2.0
"""For a call to Redis: samples wait for it, and what it does not take in time waits on disk."""


def main() -> None:
    """Collect until stopped."""
    settings = service.configure_part("collector", CollectorSettings)
    with service.exit_on_invalid_config("collector"):
        section = load_documents(settings.botwatch_config).health.monitoring
        state = settings.botwatch_home / "collector"
        place = WatchedHost(host_name(settings), settings.host_proc, settings.host_root, state)
        watched = load_checks(section, place)
        host = HostSampler(place.name, place.proc, place.root)
    has_redis = settings.collector_url is None
    with service.running_part("collector", settings, needs_redis=False, has_redis=has_redis) as frame:
        spool = Spool(settings.botwatch_home / "spool" / "collector")
        sending = Forwarder(_record_sink(settings), spool)
        gone = replace_known_checks(place.state, {one.name: one.probe.type for one in watched})
        now, first = clock.now(), len(watched)  # numbers that no check has
        sending.send(
            [
                check_record(place.name, name, kind, REMOVED, now, number)
                for number, (name, kind) in enumerate(gone.items(), first)
            ]
        )
        collector = Collector(host, section, CheckScheduler(place.name, watched), sending)
        frame.health.add("samples", collector.check)
        service.run_loop(frame, lambda: collector.step(frame.stopping))


def _record_sink(settings: CollectorSettings) -> RecordSink:
    if settings.collector_url:
        return HttpSink(settings.collector_url, settings.collector_token or settings.ingest_token)
    # A call is not sent twice at once: samples would wait for it, and the spool sends it again anyway.
    return RedisSink(RecordLog(connect_redis(settings.redis_url, call_timeout_s=CALL_TIMEOUT_S, retries=0)))


if __name__ == "__main__":
    main()
