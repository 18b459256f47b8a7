"""Remote workers measured: throughput, memory, overhead, a slow simulator, RLlib, the lag."""
