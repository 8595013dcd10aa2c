"""Images from captions: GAN-CLS and StackGAN, their networks, captioned digits, and two commands. Free of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adaptgan import ComponentSpec, hookimpl

if TYPE_CHECKING:
    import typer


@hookimpl
def adaptgan_register_components() -> list[ComponentSpec]:
    """A data set, two text encoders, three networks, two methods."""
    here = __name__
    return [
        ComponentSpec(
            "dataset", "captioned_digits", f"{here}.captioned_digits:CaptionedDigits", "coloured digits with captions"
        ),
        ComponentSpec(
            "network",
            "gru_text_encoder",
            f"{here}.text_encoders:GRUTextEncoder",
            "captions read in order, word by word",
            "Cho 2014",
        ),
        ComponentSpec(
            "network", "bag_text_encoder", f"{here}.text_encoders:BagTextEncoder", "captions as bags of learned words"
        ),
        ComponentSpec(
            "network",
            "text_generator",
            f"{here}.networks:TextGenerator",
            "images from noise and a text",
            "Reed 2016; Zhang 2017",
        ),
        ComponentSpec(
            "network",
            "text_refiner",
            f"{here}.networks:TextRefiner",
            "StackGAN's second stage: small images and a text to large ones",
            "Zhang 2017",
        ),
        ComponentSpec(
            "network",
            "text_discriminator",
            f"{here}.networks:TextDiscriminator",
            "judges an image beside a text",
            "Reed 2016",
        ),
        ComponentSpec(
            "method",
            "gan_cls",
            f"{here}.gan_cls:GANCLS",
            "images from captions; D also sees real images with wrong captions",
            "Reed 2016",
        ),
        ComponentSpec(
            "method",
            "stackgan",
            f"{here}.stackgan:StackGAN",
            "images from captions in two stages, with conditioning augmentation",
            "Zhang 2017",
        ),
    ]


@hookimpl
def adaptgan_register_commands(app: typer.Typer) -> None:
    """`caption-grid` and `read-back`."""
    from adaptgan_text_to_image.commands import caption_grid, read_back

    app.command("caption-grid")(caption_grid)
    app.command("read-back")(read_back)
