"""What a client, or the floor, says of the requests that it has made."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np


def summarize(latencies: Sequence[float], errors: Counter[str], seconds: float) -> dict[str, Any]:
    """Summarize latencies in seconds, and errors by kind, of requests that took `seconds` in all.

    The percentiles are in milliseconds, NaN without any answer.
    """
    median = late = float("nan")
    if latencies:
        median, late = np.percentile(latencies, [50, 99]) * 1000
    return {
        "requests": len(latencies),
        "errors": sum(errors.values()),
        "error_kinds": dict(errors),
        "seconds": seconds,
        "requests_per_second": len(latencies) / seconds,
        "p50_ms": float(median),
        "p99_ms": float(late),
    }
