"""A process for one order of `run_one`. TensorFlow is restricted to one thread."""

from benchmarks.language import worker

if __name__ == "__main__":
    worker.main("benchmarks.choices.run_one")
