"""Counts and durations, as the text that Prometheus reads; names, labels and buckets are TensorFlow
Serving's.
"""

import bisect
import collections
import threading

BOUNDS = [10 * 1.8**power for power in range(33)]  # microseconds
COUNT, LATENCY = ":tensorflow:serving:request_count", ":tensorflow:serving:request_latency"
RUNTIME, WARMUP = ":tensorflow:serving:runtime_latency", ":tensorflow:serving:model_warmup_latency"


class Histogram:
    """How many values fell into each bucket."""

    def __init__(self) -> None:
        self.counts, self.sum = [0] * (len(BOUNDS) + 1), 0.0

    def add(self, value: float) -> None:
        """Counts one value."""
        self.counts[bisect.bisect_left(BOUNDS, value)] += 1
        self.sum += value


class Metrics:
    """All of the server's; any thread may add."""

    def __init__(self) -> None:
        self._counts: collections.Counter[tuple[str, str]] = collections.Counter()
        self._histograms: dict[str, dict[str, Histogram]] = {LATENCY: {}, RUNTIME: {}, WARMUP: {}}
        self._lock = threading.Lock()

    def request(self, model: str, api: str, entrypoint: str, code: str, seconds: float) -> None:
        """One request for a model that was answered with a code (`OK`, `NOT_FOUND`, ...)."""
        with self._lock:
            self._counts[model, code] += 1
            self._add(
                LATENCY,
                f'model_name="{_escaped(model)}",API="{api}",entrypoint="{entrypoint}"',
                seconds,
            )

    def runtime(self, model: str, seconds: float) -> None:
        """One run of a graph."""
        with self._lock:
            self._add(
                RUNTIME, f'model_name="{_escaped(model)}",API="Predict",runtime="TF1"', seconds
            )

    def warmup(self, model: str, path: str, status: str, seconds: float) -> None:
        """One warm-up of a version."""
        with self._lock:
            self._add(WARMUP, f'model_path="{_escaped(path)}",status="{status}"', seconds)

    def text(self) -> bytes:
        """In Prometheus' format."""
        lines = [f"# TYPE {COUNT} counter"]
        with self._lock:
            lines += [
                f'{COUNT}{{model_name="{_escaped(model)}",status="{code}"}} {count}'
                for (model, code), count in sorted(self._counts.items())
            ]
            for name, histograms in self._histograms.items():
                lines.append(f"# TYPE {name} histogram")
                for labels, histogram in sorted(histograms.items()):
                    total = 0
                    for bound, count in zip([*BOUNDS, "+Inf"], histogram.counts, strict=True):
                        total += count
                        lines.append(
                            f'{name}_bucket{{{labels},le="{bound if isinstance(bound, str) else f"{bound:g}"}"}}'
                            f" {total}"
                        )
                    lines += [
                        f"{name}_sum{{{labels}}} {histogram.sum:.6g}",
                        f"{name}_count{{{labels}}} {total}",
                    ]
        return ("\n".join(lines) + "\n").encode("utf-8", "replace")

    def _add(self, name: str, labels: str, seconds: float) -> None:
        histogram = self._histograms[name].get(labels)
        if histogram is None:
            histogram = self._histograms[name][labels] = Histogram()
        histogram.add(seconds * 1e6)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
