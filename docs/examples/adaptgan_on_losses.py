"""End a training whose losses explode: when one is 1,000 times what it was at first."""

from adaptgan import hookimpl

FACTOR = 1000.0


@hookimpl
def adaptgan_on_losses(run, step, means):
    """Compare with the first read-out, which a resumed run remembers; all ranks see the same numbers and halt alike."""
    first = run.history[0]["losses"]
    for name, mean in means.items():
        if abs(mean) > FACTOR * max(abs(first.get(name, mean)), 1.0):
            run.halt = f"{run.name}: {name} is {mean:.3g} at step {step}, and was {first[name]:.3g} at first."
