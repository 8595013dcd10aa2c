"""Progress: a bar on a terminal, seldom lines elsewhere, nothing from other ranks."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from adaptgan.plugins import plugins
from adaptgan.training import progress
from adaptgan.training.progress import Display, duration, losses_text
from adaptgan.training.run import Run


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def make_run(step: int = 0, steps: int = 2000, rank: int = 0) -> Run:
    missing: Any = None
    return Run("refiner", "f", Path("x"), Path("log"), {}, steps, missing, missing, rank=rank, step=step)


def test_a_log_gets_one_line_in_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock, stream, run = Clock(), io.StringIO(), make_run()
    display = Display(stream, clock)
    display.begin(run)
    for step in range(1, 561):  # 16 steps a second, 35 seconds
        clock.now += 0.0625
        if step % 40 == 0:
            display.losses = losses_text({"discriminator/adversarial": 0.6123, "refiner/adversarial": 1.5})
        display.step(run, step)
    display.end(run)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("train refiner  160/2000  8%  16.0 steps/s  eta 1:55  discriminator/adversarial 0.612")
    assert "\r" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
    assert capsys.readouterr() == ("", "")


def test_the_speed_of_a_resumed_run_counts_its_own_steps_only() -> None:
    clock, stream, run = Clock(), io.StringIO(), make_run(step=1000)
    display = Display(stream, clock)
    display.begin(run)
    assert "goes on at step 1000 of 2000" in stream.getvalue()
    clock.now += 10
    assert "1100/2000  55%  10.0 steps/s  eta 1:30" in display.line(run, 1100)


def test_a_terminal_gets_a_bar_with_the_losses() -> None:
    clock, stream, run = Clock(), Terminal(), make_run(steps=100)
    display = Display(stream, clock)
    display.begin(run)
    for step in range(1, 101):
        clock.now += 0.2
        display.losses = losses_text({"critic/adversarial": 0.25})
        display.step(run, step)
    run.step = 100
    display.end(run)
    shown = stream.getvalue()
    assert "refiner" in shown
    assert "100/100" in shown
    assert "critic/adversarial 0.25" in shown


def test_an_error_gives_the_terminal_back() -> None:
    clock, stream, run = Clock(), Terminal(), make_run()
    display = Display(stream, clock)
    display.begin(run)
    display.end(run)
    assert stream.getvalue().count("\x1b[?25h") == 1  # the cursor is shown again
    display.end(run)


def test_other_ranks_show_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(progress, "_display", Display(stream, Clock()))
    run = make_run(step=5, rank=1)
    progress.adaptgan_before_train(run)
    progress.adaptgan_on_step_end(run, 6)
    progress.adaptgan_on_losses(run, {"a": 1.0})
    progress.adaptgan_after_train(run)
    assert stream.getvalue() == ""


def test_it_is_wired_to_the_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, stream = Clock(), io.StringIO()
    monkeypatch.setattr(progress, "_display", Display(stream, clock))
    monkeypatch.setenv("ADAPTGAN_TRACKING", "off")
    run = make_run(steps=10, step=3)
    plugins().fire("adaptgan_on_step_end", run=run, step=4, losses={})
    assert "train refiner  4/10  40%" in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0:00"), (72, "1:12"), (3599.6, "1:00:00"), (3729, "1:02:09"), (-3, "0:00")]
)
def test_durations_read_like_a_clock(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_no_more_than_three_losses_are_shown() -> None:
    assert losses_text({"a": 0.123456, "b": 12345.0, "c": 0.0, "d": 1.0}) == "a 0.123  b 1.23e+04  c 0"
