"""Job of rule trials: tries the requested rules on stored records, one after the other."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta

import msgspec

from services.jobs.context import JobContext
from services.jobs.runner import describe_error
from shared.rules.loader import rule_from_condition
from shared.rules.trial import TrialResult
from shared.runtime.rule_trial import TrialSources, try_rule
from shared.schema.conditions import Condition
from shared.schema.rule_trials import TrialRun
from shared.store.rule_trials import record_end, record_progress, remove_old_trials, start_next

TIME_LIMIT_S = 240.0
"""How long one trial may take; below the time limit of the job."""
PROGRESS_INTERVAL_S = 0.5


class CancelledError(Exception):
    """A newer trial was started."""


class TooSlowError(Exception):
    """The trial reached its time limit."""


def run_rule_trials(context: JobContext) -> Mapping[str, int]:
    """Run the trials that wait, and delete old results; return how many."""
    counts = Counter[str]()
    with context.health.write() as connection:
        counts["removed"] = remove_old_trials(connection, context.now())
    while run := _start_next(context):
        try:
            result = _try(run, context)
        except CancelledError:
            counts["cancelled"] += 1
            continue
        except TooSlowError as error:
            _end(context, run, None, str(error))
        except Exception as error:
            _end(context, run, None, describe_error(error))
            raise
        else:
            _end(context, run, result)
        counts["trials"] += 1
    return counts


def _start_next(context: JobContext) -> TrialRun | None:
    with context.health.write() as connection:
        return start_next(connection, context.now())


def _end(context: JobContext, run: TrialRun, result: TrialResult | None, error: str | None = None) -> None:
    with context.health.write() as connection:
        record_end(connection, run.id, context.now(), result, error)


def _try(run: TrialRun, context: JobContext) -> TrialResult:
    rule = rule_from_condition(msgspec.json.decode(run.condition, type=Condition))
    sources = TrialSources(context.performance, context.health, context.documents)
    return try_rule(rule, sources, timedelta(days=run.days), context.now(), _checking(run, context))


def _checking(run: TrialRun, context: JobContext) -> Callable[[float], None]:
    """Return the function that stores progress, and ends the trial when it is cancelled or takes too long."""
    started = reported = time.monotonic()

    def check(share: float) -> None:
        nonlocal reported
        now = time.monotonic()
        if now - started > TIME_LIMIT_S:
            raise TooSlowError(
                f"not finished after {TIME_LIMIT_S:.0f} s, {share:.0%} done: try fewer days, or fewer `bots`"
            )
        if now - reported >= PROGRESS_INTERVAL_S:
            reported = now
            with context.health.write() as connection:
                if not record_progress(connection, run.id, share):
                    raise CancelledError

    return check
