"""Losses as a slow mean of their read-outs, the same however often the training was interrupted: `smooth.json`."""

import json

from adaptgan import hookimpl

KEEP = 0.9
SMOOTH = {}


@hookimpl(observes=True)
def adaptgan_load_state(state):
    """Go on from the checkpoint; it has no entry of ours if this plugin was installed after it."""
    SMOOTH.update(state.get("smooth-losses", {}))


@hookimpl(observes=True)
def adaptgan_save_state():
    """Numbers by name: what a checkpoint can hold."""
    return {"smooth-losses": dict(SMOOTH)}


@hookimpl(observes=True)
def adaptgan_before_train(run):
    """A fresh start has nothing to go on from."""
    if run.step == 0:
        SMOOTH.clear()


@hookimpl(observes=True)
def adaptgan_on_losses(run, means):
    """Move each a tenth of the way, and write them."""
    for name, mean in means.items():
        SMOOTH[name] = KEEP * SMOOTH.get(name, mean) + (1 - KEEP) * mean
    if run.rank == 0:
        (run.log / "smooth.json").write_text(json.dumps(SMOOTH, indent=1))
