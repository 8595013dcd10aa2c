"""Detecting generated images, as a plugin of adaptgan: what it registers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adaptgan import ComponentSpec, hookimpl

if TYPE_CHECKING:
    import typer


@hookimpl
def adaptgan_register_components() -> list[ComponentSpec]:
    """Networks, a data set and a metric; each is imported when params.yaml asks for it."""
    return [
        ComponentSpec(
            "network",
            "spectral_detector",
            f"{__name__}.networks:SpectralDetector",
            "a line, or an MLP, over the azimuthally averaged power spectrum",
            "Durall 2020; Dzanic 2020",
        ),
        ComponentSpec(
            "network",
            "forensic_cnn",
            f"{__name__}.networks:ForensicCNN",
            "convolutions over learned high-pass residuals, and the spectrum beside them",
            "Bayar & Stamm 2016; Durall 2020",
        ),
        ComponentSpec(
            "dataset",
            "real_and_generated",
            f"{__name__}.dataset:RealAndGenerated",
            "two classes: a data set of real images, and what generators made",
        ),
        ComponentSpec(
            "metric",
            "detectability",
            f"{__name__}.detectability:Detectability",
            "how well a detector, trained for it, tells the set from real images",
            "Lopez-Paz & Oquab 2017; Durall 2020; Guo 2017",
        ),
    ]


@hookimpl
def adaptgan_register_commands(app: typer.Typer) -> None:
    """`adaptgan detect`."""
    from adaptgan_forensics.command import command

    if "detect" not in {known.name for known in app.registered_commands}:
        app.command("detect")(command)
