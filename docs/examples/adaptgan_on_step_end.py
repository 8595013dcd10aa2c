"""The largest value that each loss ever had, without one wait for the device: `peaks.json` in the log folder."""

import json

from adaptgan import hookimpl

PEAKS = {}


@hookimpl(observes=True)
def adaptgan_before_train():
    """Begin anew: one process may train several times."""
    PEAKS.clear()


@hookimpl(observes=True)
def adaptgan_on_step_end(losses):
    """Compare on the device: no number is read here."""
    for name, value in losses.items():
        PEAKS[name] = value.maximum(PEAKS[name]) if name in PEAKS else value


@hookimpl
def adaptgan_after_train(run):
    """Read them all, once."""
    if run.rank == 0:
        peaks = {name: value.item() for name, value in PEAKS.items()}
        (run.log / "peaks.json").write_text(json.dumps(peaks, indent=1))
