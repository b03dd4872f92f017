"""Evaluator: judges every record against the rules and opens or resolves alerts."""

import structlog

from services.evaluator.evaluator import Evaluator
from services.evaluator.muting import policy_of
from services.evaluator.reloading import Reloading
from services.evaluator.rules.documents import rules_of
from shared.runtime import databases
from shared.runtime.documents import load_documents
from shared.runtime.fencing import fence
from shared.runtime.log import RecordLog
from shared.runtime.redis import UNAVAILABLE
from shared.runtime.reload import Requests
from shared.runtime.service import refusing, run, service, start
from shared.runtime.settings import Settings
from shared.store.tables import health_position

log = structlog.get_logger()


def main() -> None:
    """Run the evaluator until it is told to stop."""
    settings = start("evaluator", Settings)
    with refusing("evaluator"):
        documents = load_documents(settings.botwatch_config)
        database = databases.health_database(settings, documents)
        database.require_schema("alerts")
        rules, policy = rules_of(documents), policy_of(documents)
    with service("evaluator", settings, single=True) as frame:
        frame.databases = (database,)
        fence(frame, "evaluator", database, health_position)
        evaluator = Evaluator(
            RecordLog(frame.redis, lease=frame.lease),
            database,
            rules,
            settings.dashboard_url.rstrip("/"),
            frame.stopping,
            policy,
        )
        evaluator.writer.beat = frame.pulse.beat
        frame.health.add("database", evaluator.check)
        evaluator.writer.until_done(evaluator.start)
        requests = Requests(frame.redis, frame.hangup, "evaluator")
        reloading = Reloading(evaluator, requests, settings.botwatch_config)
        run(frame, lambda: evaluator.writer.endure(reloading.step))
        try:
            evaluator.save()
        except UNAVAILABLE as error:
            log.warning("redis is away: what was read last will be read again", error=str(error))
    database.close()


if __name__ == "__main__":
    main()
