"""Reading the rules again while the evaluator runs; wrong documents are refused, and the old rules stay."""

from pathlib import Path

import structlog

from services.evaluator.evaluator import Evaluator
from services.evaluator.muting import policy_of
from services.evaluator.rules.documents import rules_of
from shared.runtime.documents import load_documents
from shared.runtime.reload import Requests
from shared.schema.faults import InvalidError

log = structlog.get_logger()


class Reloading:
    """Gives an evaluator the rules anew when somebody asks for it."""

    def __init__(self, evaluator: Evaluator, requests: Requests, folder: Path) -> None:
        self._evaluator = evaluator
        self._requests = requests
        self._folder = folder

    def step(self) -> None:
        """Reload if it was asked for, then let the evaluator go on."""
        if self._requests.is_asked():
            self._reload()
        self._evaluator.step()

    def _reload(self) -> None:
        try:
            documents = load_documents(self._folder)
            rules, policy = rules_of(documents), policy_of(documents)
        except InvalidError as error:
            for fault in error.faults:
                log.error("the old rules stay", fault=str(fault))
            self._requests.answer({"rules": len(self._evaluator.rules)}, error.faults)
            return
        self._evaluator.reload(rules, policy)
        log.info("rules read again", rules=len(rules))
        self._requests.answer({"rules": len(rules)}, warnings=self._evaluator.warn())
