"""What the terminal shows while a run goes on: a bar, or a line now and then in a pipe."""

import sys
import time

from tqdm import tqdm

LINES = 10  # in a pipe, for the whole run
BAR_FORMAT = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{remaining} left, {rate_fmt}]{postfix}"


class Progress:
    """Shows the latest values of a run, its speed and the time left."""

    def __init__(self, total_steps: int) -> None:
        self._total_steps = total_steps
        self._latest: dict[str, float] = {}
        self._bar: tqdm | None = None

    def start(self, env_step: int) -> None:
        """Begin to measure speed, from this environment step on."""
        self._start = time.monotonic()
        self._start_step = env_step
        self._next_line = env_step + 1
        if sys.stderr.isatty():
            self._bar = tqdm(
                total=self._total_steps,
                initial=env_step,
                unit=" steps",
                unit_scale=True,
                dynamic_ncols=True,
                file=sys.stderr,
                bar_format=BAR_FORMAT,
            )

    def update(self, env_step: int, **values: float) -> None:
        """Show how far the run is. A value that is not given stays as it was."""
        self._latest |= values
        if self._bar is not None:
            self._bar.set_postfix(self._texts(), refresh=False)
            self._bar.update(env_step - self._bar.n)
        elif env_step >= self._next_line:
            self._next_line = env_step + max(1, self._total_steps // LINES)
            self._print_line(env_step)

    def say(self, sentence: str) -> None:
        """Print a sentence on a line of its own, above the bar."""
        if self._bar is not None:
            self._bar.write(sentence, file=sys.stdout)
        else:
            print(sentence, flush=True)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()

    def _print_line(self, env_step: int) -> None:
        seconds = time.monotonic() - self._start
        speed = (env_step - self._start_step) / seconds if seconds else 0.0
        parts = [f"{name} {text}" for name, text in self._texts().items()]
        parts.append(f"{speed:,.0f} steps/s")
        if speed:
            # a last block of several environments may be longer than what was left
            left = max(0, self._total_steps - env_step)
            parts.append(f"{left / speed:.0f} s left")
        self.say(f"step {env_step:,} of {self._total_steps:,}: {', '.join(parts)}")

    def _texts(self) -> dict[str, str]:
        return {name: f"{value:.3g}" for name, value in self._latest.items()}
