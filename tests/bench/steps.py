"""Where the time of a breach goes: the latency of each step, as Botwatch's own `/metrics` have it."""

import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from shared.runtime import clock
from shared.runtime.redis.presence import read_presence

FAMILY = "botwatch_step_seconds"
STEPS = {
    "evaluated": "record in the log → rules evaluated",
    "planned": "record in the log → alert written, notice planned",
    "sent": "record in the log → webhook answered",
    "stored": "record in the log → in SQLite",
}
"""Those of `/metrics`; an alert changes at the time of its record in the log."""
ANSWER_S = 10.0


@dataclass
class StepCounts:
    """One step's histogram: how many took up to so many seconds, and the seconds of all."""

    buckets: dict[float, float] = field(default_factory=dict)
    total_s: float = 0.0

    def since(self, before: "StepCounts") -> "StepCounts":
        """Return what was added since `before`."""
        buckets = {bound: count - before.buckets.get(bound, 0) for bound, count in self.buckets.items()}
        return StepCounts(buckets, self.total_s - before.total_s)

    @property
    def count(self) -> float:
        """How many there were."""
        return max(self.buckets.values(), default=0)

    def quantile_ms(self, share: float) -> float:
        """Return the upper bound of the bucket in which that share is reached, ms."""
        return 1000 * min(bound for bound, count in self.buckets.items() if count >= share * self.count)


def read(bus: Redis) -> dict[str, StepCounts]:
    """Return the histogram of each step from the `/metrics` of all parts."""
    found = {step: StepCounts() for step in STEPS}
    for part, _ in read_presence(bus, clock.now()).values():
        with urllib.request.urlopen(f"{part.url}/metrics", timeout=ANSWER_S) as response:
            text = response.read().decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples if family.name == FAMILY else ():
                step = found[sample.labels["step"]]
                if sample.name.endswith("_bucket"):
                    bound = float(sample.labels["le"])
                    step.buckets[bound] = step.buckets.get(bound, 0) + sample.value
                elif sample.name.endswith("_sum"):
                    step.total_s += sample.value
    return found


def table(found: Mapping[str, StepCounts]) -> Iterator[str]:
    """Lay the steps out as text."""
    yield f"{'steps of a breach':<55}{'count':>8}{'mean ms':>9}{'p50 ≤':>8}{'p99 ≤':>8}"
    for step, title in STEPS.items():
        one = found[step]
        if one.count:
            mean_ms = 1000 * one.total_s / one.count
            halves = "".join(f"{one.quantile_ms(share):>8g}" for share in (0.5, 0.99))
            yield f"{title:<55}{one.count:>8,.0f}{mean_ms:>9.1f}{halves}"
