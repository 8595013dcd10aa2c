"""A plugin's own test of a hook: known without being installed, driven by a real training."""

from adaptgan import hookimpl


class Counter:
    """A plugin may be any object, too."""

    def __init__(self):
        self.steps = []

    @hookimpl(observes=True)
    def adaptgan_on_step_end(self, step):
        """Note the step."""
        self.steps.append(step)


def test_it_hears_of_every_step(adaptgan_plugins, adaptgan_run):
    """Three steps of the real train stage."""
    counter = Counter()
    adaptgan_plugins.register(counter)
    run = adaptgan_run("supervised", steps=3, batch_size=8)
    assert counter.steps == [1, 2, 3]
    assert (run.folder / "model.safetensors").exists()
