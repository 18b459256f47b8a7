"""Counts and durations, as text for Prometheus, under TensorFlow Serving's names and labels."""

import bisect
import collections
import threading
from collections.abc import Iterator

BUCKET_BOUNDS = [10 * 1.8**power for power in range(33)]  # microseconds
REQUEST_COUNT = ":tensorflow:serving:request_count"
REQUEST_LATENCY = ":tensorflow:serving:request_latency"
RUNTIME_LATENCY = ":tensorflow:serving:runtime_latency"
WARMUP_LATENCY = ":tensorflow:serving:model_warmup_latency"
LABELS = {
    REQUEST_LATENCY: ("model_name", "API", "entrypoint"),
    RUNTIME_LATENCY: ("model_name", "API", "runtime"),
    WARMUP_LATENCY: ("model_path", "status"),
}


class Histogram:
    """The number of values in each bucket, and their sum."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKET_BOUNDS) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect.bisect_left(BUCKET_BOUNDS, value)] += 1
        self.sum += value

    def lines(self, name: str, labels: str) -> Iterator[str]:
        """Yield the lines of Prometheus' text format."""
        total = 0
        bounds = [*(f"{bound:g}" for bound in BUCKET_BOUNDS), "+Inf"]
        for bound, count in zip(bounds, self.counts, strict=True):
            total += count
            yield f'{name}_bucket{{{labels},le="{bound}"}} {total}'
        yield f"{name}_sum{{{labels}}} {self.sum:.6g}"
        yield f"{name}_count{{{labels}}} {total}"


class Metrics:
    """All metrics of the server. Any thread may add to them."""

    def __init__(self) -> None:
        self._counts: collections.Counter[tuple[str, str]] = collections.Counter()
        # of each metric by the values of its labels
        self._histograms: dict[str, dict[tuple[str, ...], Histogram]] = {
            name: collections.defaultdict(Histogram) for name in LABELS
        }
        self._lock = threading.Lock()

    def count_request(
        self, model: str, api: str, entrypoint: str, code: str, seconds: float
    ) -> None:
        """Count one request for a model that was answered with a code (`OK`, `NOT_FOUND`, ...)."""
        with self._lock:
            self._counts[model, code] += 1
            self._histograms[REQUEST_LATENCY][model, api, entrypoint].add(1e6 * seconds)

    def count_run(self, model: str, seconds: float) -> None:
        """Count one run of a graph."""
        with self._lock:
            self._histograms[RUNTIME_LATENCY][model, "Predict", "TF1"].add(1e6 * seconds)

    def count_warmup(self, path: str, status: str, seconds: float) -> None:
        """Count one warm-up of a version."""
        with self._lock:
            self._histograms[WARMUP_LATENCY][path, status].add(1e6 * seconds)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        lines = [f"# TYPE {REQUEST_COUNT} counter"]
        with self._lock:
            for (model, code), count in sorted(self._counts.items()):
                labels = _labels(("model_name", "status"), (model, code))
                lines.append(f"{REQUEST_COUNT}{{{labels}}} {count}")
            for name, histograms in self._histograms.items():
                lines.append(f"# TYPE {name} histogram")
                for values, histogram in sorted(histograms.items()):
                    lines.extend(histogram.lines(name, _labels(LABELS[name], values)))
        return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    return ",".join(f'{name}="{_escape(text)}"' for name, text in zip(names, values, strict=True))


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
