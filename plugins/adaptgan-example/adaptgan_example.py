"""One-sided label smoothing (Salimans 2016, §3.4) as a plugin: all of it."""

from adaptgan import ComponentSpec, hookimpl


class Smoothed:
    """As non_saturating, but D is told that a real image is real with probability 1 - smoothing.

    Args:
        smoothing: keeps D from growing sure, so that its gradient stays of use; the paper has 0.1.
    """

    def __init__(self, smoothing: float = 0.1) -> None:
        from torch.nn.functional import softplus  # not above: a plugin's module is imported by every command

        self.real = lambda logits: (1 - smoothing) * softplus(-logits) + smoothing * softplus(logits)
        self.fake = lambda logits: softplus(logits)
        self.generator = lambda logits: softplus(-logits)


@hookimpl
def adaptgan_register_components() -> list[ComponentSpec]:
    """Name the class; it is imported when params.yaml asks for it."""
    return [
        ComponentSpec("objective", "smoothed", f"{__name__}:Smoothed", "one-sided label smoothing", "Salimans 2016")
    ]
