"""What the terminal shows while a run goes on:

a bar on a terminal, a line now and then where output is piped.
"""

import sys
import time

from tqdm import tqdm


class Progress:
    """Returns, epsilon, loss, speed and time left."""

    def __init__(self, total_steps: int) -> None:
        self._total, self._shown = total_steps, {}
        self._bar = None

    def start(self, env_step: int) -> None:
        """Begins to measure speed, from this environment step on."""
        self._start, self._start_step, self._next_line = time.monotonic(), env_step, env_step + 1
        if sys.stderr.isatty():
            self._bar = tqdm(
                total=self._total,
                initial=env_step,
                unit=" steps",
                unit_scale=True,
                dynamic_ncols=True,
                file=sys.stderr,
                bar_format=(
                    "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{remaining} left,"
                    " {rate_fmt}]{postfix}"
                ),
            )

    def update(self, env_step: int, **values: float) -> None:
        """The latest values; None where there is none yet."""
        self._shown |= {name: value for name, value in values.items() if value is not None}
        if self._bar is not None:
            self._bar.set_postfix(self._texts(), refresh=False)
            self._bar.update(env_step - self._bar.n)
        elif env_step >= self._next_line:
            self._next_line = env_step + max(1, self._total // 10)
            seconds = time.monotonic() - self._start
            speed = (env_step - self._start_step) / seconds if seconds else 0.0
            left = f", {(self._total - env_step) / speed:.0f} s left" if speed else ""
            values_text = ", ".join(f"{name} {text}" for name, text in self._texts().items())
            self.say(
                f"step {env_step:,} of {self._total:,}: {values_text}, {speed:,.0f} steps/s{left}"
            )

    def say(self, sentence: str) -> None:
        """A line of its own, above the bar."""
        if self._bar is not None:
            self._bar.write(sentence, file=sys.stdout)
        else:
            print(sentence, flush=True)

    def close(self) -> None:
        """Leaves the bar as it stands."""
        if self._bar is not None:
            self._bar.close()

    def _texts(self) -> dict[str, str]:
        return {name: f"{value:.3g}" for name, value in self._shown.items()}
