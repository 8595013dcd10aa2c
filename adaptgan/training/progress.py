"""Progress of a training: a bar on a terminal, a line now and then in a log. Free of torch."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from adaptgan.hookspecs import hookimpl

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from adaptgan.training.run import Run

LINE_SECONDS = 10.0
"""Time between two lines where there is no terminal."""

_LOSSES = 3


def duration(seconds: float) -> str:
    """`1:12`, `1:02:09`."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def losses_text(means: dict[str, float]) -> str:
    """Two or three losses, as short as can be told apart."""
    return "  ".join(f"{name} {value:.3g}" for name, value in list(means.items())[:_LOSSES])


class Display:
    """Shows one run's progress.

    Args:
        stream: where to; a bar when it is a terminal, else lines.
        clock: seconds.
    """

    def __init__(self, stream: TextIO | None = None, clock: Any = time.monotonic) -> None:
        self._given = stream
        self.clock = clock
        self.losses = ""
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._start = (0.0, 0)
        self._next = 0.0

    @property
    def stream(self) -> TextIO:
        """Where it is shown; looked up each time, since a caller may have redirected stderr."""
        return self._given or sys.stderr

    def begin(self, run: Run) -> None:
        """A training starts, or goes on."""
        self.end(run)
        self.losses = losses_text(run.history[-1]["losses"]) if run.history else ""
        self._start = (self.clock(), run.step)
        self._next = self.clock() + LINE_SECONDS
        if self.stream.isatty():
            self._bar, self._task = self._make_bar(run)
            self._bar.start()
        elif run.step:
            self._say(f"train {run.name}  goes on at step {run.step} of {run.steps}")

    def step(self, run: Run, step: int) -> None:
        """A step is done. Called each step: it does next to nothing unless something is to be shown."""
        if self._bar is None:
            if self.clock() < self._next:
                return
            self._next = self.clock() + LINE_SECONDS
            self._say(self.line(run, step))
        elif self.clock() >= self._next - LINE_SECONDS + 0.1:
            self._next = self.clock() + LINE_SECONDS
            assert self._task is not None
            self._bar.update(self._task, completed=step, losses=self.losses, speed=f"{self._speed(step):.1f} steps/s")

    def end(self, run: Run) -> None:
        """It is over, one way or the other."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=run.step, losses=self.losses)
            self._bar.stop()
        self._bar = self._task = None

    def line(self, run: Run, step: int) -> str:
        """`train refiner  600/2000  30%  8.3 steps/s  eta 1:12  discriminator/adversarial 0.61`."""
        speed = self._speed(step)
        eta = duration((run.steps - step) / speed) if speed else "?"
        done = [f"{step}/{run.steps}", f"{step / run.steps:.0%}", f"{speed:.1f} steps/s", f"eta {eta}"]
        return "  ".join([f"train {run.name}", *done, self.losses]).rstrip()

    def _speed(self, step: int) -> float:
        start, first = self._start
        elapsed = self.clock() - start
        return (step - first) / elapsed if elapsed > 0 else 0.0

    def _say(self, text: str) -> None:
        self.stream.write(f"{text}\n")
        self.stream.flush()

    def _make_bar(self, run: Run) -> tuple[Progress, TaskID]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        bar = Progress(
            TextColumn("train {task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TextColumn("eta"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[losses]}"),
            console=Console(file=self.stream),
            refresh_per_second=4,
        )
        return bar, bar.add_task(run.name, total=run.steps, completed=run.step, losses=self.losses, speed="")


_display = Display()


@hookimpl
def adaptgan_before_train(run: Run) -> None:
    """Start showing."""
    if run.rank == 0:
        _display.begin(run)


@hookimpl
def adaptgan_on_step_end(run: Run, step: int) -> None:
    """Show where it is."""
    if run.rank == 0:
        _display.step(run, step)


@hookimpl
def adaptgan_on_losses(run: Run, means: dict[str, float]) -> None:
    """Remember the newest losses."""
    if run.rank == 0:
        _display.losses = losses_text(means)


@hookimpl
def adaptgan_after_train(run: Run) -> None:
    """Leave the line complete."""
    if run.rank == 0:
        _display.end(run)


@hookimpl
def adaptgan_on_train_error(run: Run) -> None:
    """Give the terminal back."""
    if run.rank == 0:
        _display.end(run)
