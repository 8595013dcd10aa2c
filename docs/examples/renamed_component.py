"""Names that changed between two versions of a plugin: the old ones work, and say what to write instead."""

from adaptgan import ComponentSpec, hookimpl


def margin(width: float = 1.0):
    """A hinge objective of a width of one's own.

    Args:
        width: how far on the right side of 0 a logit must be to cost nothing.
    """
    from types import SimpleNamespace

    return SimpleNamespace(
        real=lambda logits: (width - logits).clamp(min=0),
        fake=lambda logits: (width + logits).clamp(min=0),
        generator=lambda logits: -logits,
    )


@hookimpl
def adaptgan_register_components():
    """In params.yaml `wide_hinge` still means `margin`, and its `size` is the `width`; `old_hinge` will go."""
    here = f"{__name__}:margin"
    return [
        ComponentSpec("objective", "margin", here, api=1, formerly=("wide_hinge",), renamed={"size": "width"}),
        ComponentSpec("objective", "old_hinge", here, api=1, deprecated="use 'margin'; goes in 0.4"),
    ]
