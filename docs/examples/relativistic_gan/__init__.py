"""The relativistic GAN as a plugin: this module is imported by every command and stays free of torch."""

from __future__ import annotations

from adaptgan import ComponentSpec, hookimpl


@hookimpl
def adaptgan_register_components() -> list[ComponentSpec]:
    """Name the method; it is imported when params.yaml asks for it."""
    return [
        ComponentSpec(
            "method",
            "relativistic_gan",
            f"{__name__}.method:RelativisticGAN",
            "a critic that compares real and generated images",
            "Jolicoeur-Martineau 2019",
            api=1,
        )
    ]
