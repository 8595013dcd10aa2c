"""How many images a training has seen, over all interruptions: `images_seen.txt` in its log folder."""

from adaptgan import hookimpl

SEEN = {"images": 0}


@hookimpl(observes=True)
def adaptgan_save_state():
    """Keep the count; the key is this plugin's name."""
    return {"images-seen": dict(SEEN)}


@hookimpl(observes=True)
def adaptgan_load_state(state):
    """Take it back."""
    SEEN.update(state.get("images-seen", {}))


@hookimpl(observes=True)
def adaptgan_before_train(run):
    """A fresh start counts from 0; a resumed one goes on from what `adaptgan_load_state` took back."""
    if run.step == 0:
        SEEN["images"] = 0


@hookimpl(observes=True)
def adaptgan_on_step_end(run):
    """Count a batch."""
    SEEN["images"] += run.params["training"]["batch_size"]


@hookimpl
def adaptgan_after_train(run):
    """Say it."""
    if run.rank == 0:
        (run.log / "images_seen.txt").write_text(f"{SEEN['images']}\n")
