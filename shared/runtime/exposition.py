"""What /metrics answers in every part: Prometheus' text format or OpenMetrics, compressed or not."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from prometheus_client import disable_created_metrics
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder, gzip_accepted

# Prometheus below 3 stores each as a series of its own, twice as many for every counter.
disable_created_metrics()

COMPRESSION_LEVEL = 1
"""Samples are so alike that the lowest level is enough."""
GZIP = 16 + zlib.MAX_WBITS
END = b"# EOF\n"


class Registry(Protocol):
    """What has metrics: a registry, or a collector."""

    def collect(self) -> Iterable[Metric]:
        """Return the metrics as they are now."""


class Exposition(NamedTuple):
    """An answer to a scrape."""

    headers: list[tuple[str, str]]
    body: bytes


class GaugeLines(Metric):
    """A family of gauges whose samples are kept as lines, ten times as fast as objects; for many samples.

    A gauge's lines are the same in both formats.
    """

    def __init__(self, name: str, documentation: str, labels: Sequence[str]) -> None:
        super().__init__(name, documentation, "gauge")
        self.label_names = labels
        self.lines: list[str] = []

    def add(self, labels: str, value: float) -> None:
        """Add a sample; `labels` is what `label_text` returned for it."""
        self.lines.append(f"{self.name}{labels} {value}\n")

    def extend(self, samples: Iterable[tuple[str, float]]) -> None:
        """Add samples: labels as text, and the value, of which twelve digits are written."""
        line = f"{self.name}%s %.12g\n"  # the shortest exact text takes twice as long to find
        self.lines += [line % sample for sample in samples]

    def text(self) -> str:
        """Return the family with its header."""
        help_text = _escape(self.documentation)
        return "".join((f"# HELP {self.name} {help_text}\n# TYPE {self.name} gauge\n", *self.lines))


def label_text(labels: Mapping[str, str]) -> str:
    """Return labels as they stand in a line: `{bot="a"}`; one text serves all samples of a subject."""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in sorted(labels.items())) + "}"


def expose(registry: Registry, accept: str | None, accept_encoding: str | None) -> Exposition:
    """Return the metrics in the format that `accept` asks for, compressed if `accept_encoding` allows it."""
    plain, lines = [], []
    for metric in registry.collect():
        if isinstance(metric, GaugeLines):
            lines.append(metric.text())
        else:
            plain.append(metric)
    encode, content_type = choose_encoder(accept or "")
    body = encode(_Collected(plain))
    if lines:
        end = END if body.endswith(END) else b""
        body = b"".join((body.removesuffix(END), "".join(lines).encode(), end))
    headers = [("Content-Type", content_type), ("Vary", "Accept, Accept-Encoding")]
    if gzip_accepted(accept_encoding or ""):
        packer = zlib.compressobj(COMPRESSION_LEVEL, wbits=GZIP)
        body = packer.compress(body) + packer.flush()
        headers.append(("Content-Encoding", "gzip"))
    headers.append(("Content-Length", str(len(body))))
    return Exposition(headers, body)


class _Collected:
    """Metrics that were collected already."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


def _escape(text: str) -> str:
    if "\\" in text or "\n" in text or '"' in text:
        return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return text
