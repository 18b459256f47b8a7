"""What the benchmarks share: records, tables, processes, the machine, flags."""
