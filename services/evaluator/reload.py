"""Reload: read the rules again while the evaluator runs; an invalid config keeps the previous rules."""

from pathlib import Path

import structlog

from services.evaluator.evaluator import Evaluator
from services.evaluator.muting import parse_mute_config
from services.evaluator.rules.loader import load_rules
from shared.runtime.config.documents import load_documents
from shared.runtime.redis.reload_requests import ReloadRequests
from shared.schema.faults import InvalidError

log = structlog.get_logger()


class EvaluatorReloader:
    """Reloads an evaluator's rules on request."""

    def __init__(self, evaluator: Evaluator, requests: ReloadRequests, folder: Path) -> None:
        self._evaluator = evaluator
        self._requests = requests
        self._folder = folder

    def step(self) -> None:
        """Reload if requested, then run the evaluator's next step."""
        if self._requests.is_pending():
            self._reload()
        self._evaluator.step()

    def _reload(self) -> None:
        try:
            documents = load_documents(self._folder)
            rules, mute_config = load_rules(documents), parse_mute_config(documents)
        except InvalidError as error:
            for fault in error.faults:
                log.error("config invalid; keeping the previous rules", fault=str(fault))
            self._requests.reply({"rules": len(self._evaluator.rules)}, error.faults)
            return
        self._evaluator.reload(rules, mute_config)
        log.info("rules reloaded", rules=len(rules))
        self._requests.reply({"rules": len(rules)}, warnings=self._evaluator.log_inactive_rules())
