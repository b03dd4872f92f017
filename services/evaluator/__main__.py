"""Evaluator: evaluates rules on every record, and opens and resolves alerts."""

from pathlib import Path

import structlog

from services.evaluator.evaluator import Evaluator
from shared.runtime import databases
from shared.runtime.config.documents import load_documents
from shared.runtime.config.mute_config import parse_mute_config
from shared.runtime.config.rules import load_rules
from shared.runtime.database_fencing import fence
from shared.runtime.redis.connection import UNAVAILABLE_ERRORS
from shared.runtime.redis.record_log import RecordLog
from shared.runtime.redis.reload_requests import ReloadRequests
from shared.runtime.service import configure_part, exit_on_invalid_config, run_loop, running_part
from shared.runtime.settings import PartSettings
from shared.schema.faults import InvalidError
from shared.store.tables import health_position

log = structlog.get_logger()


def main() -> None:
    """Run the evaluator until stopped."""
    settings = configure_part("evaluator", PartSettings)
    with exit_on_invalid_config("evaluator"):
        documents = load_documents(settings.botwatch_config)
        database = databases.health_database(settings, documents)
        database.require_schema("alerts")
        rules, mute_config = load_rules(documents), parse_mute_config(documents)
    with running_part("evaluator", settings, single=True) as frame:
        frame.databases = (database,)
        fence(frame, "evaluator", database, health_position)
        record_log = RecordLog(frame.redis, lease=frame.lease)
        evaluator = Evaluator(
            record_log,
            database,
            rules,
            settings.dashboard_url.rstrip("/"),
            frame.stopping,
            record_log.clock.now_ms,
            mute_config,
        )
        evaluator.writer.beat = frame.pulse.touch
        frame.health.add("database", evaluator.check)
        evaluator.writer.write_until_done(evaluator.start)
        requests = ReloadRequests(frame.redis, frame.hangup, "evaluator")

        def step() -> None:
            if requests.is_pending():
                reload_rules(evaluator, requests, settings.botwatch_config)
            evaluator.step()

        run_loop(frame, lambda: evaluator.writer.run_step(step))
        try:
            evaluator.save()
        except UNAVAILABLE_ERRORS as error:
            log.warning(
                "redis is down; the last entries will be read again after the restart", error=str(error)
            )
    database.close()


def reload_rules(evaluator: Evaluator, requests: ReloadRequests, folder: Path) -> None:
    """Read the rules again and reply to the request; an invalid config keeps the previous rules."""
    try:
        documents = load_documents(folder)
        rules, mute_config = load_rules(documents), parse_mute_config(documents)
    except InvalidError as error:
        for fault in error.faults:
            log.error("config invalid; keeping the previous rules", fault=str(fault))
        requests.reply({"rules": len(evaluator.rules)}, error.faults)
        return
    evaluator.reload(rules, mute_config)
    log.info("rules reloaded", rules=len(rules))
    requests.reply({"rules": len(rules)}, warnings=evaluator.log_inactive_rules())


if __name__ == "__main__":
    main()
