"""The conformance check of methods: the built-ins pass it."""

from __future__ import annotations

from typing import Any

import pytest

from adaptgan.datainfo import DataInfo
from adaptgan.plugins import plugins
from adaptgan.testing import check_method, tiny_info

SMALL = {"name": "conv_classifier", "widths": [8, 8], "hidden": 16}
TINY = {"channels": 8, "widest": 2}
STYLES: dict[str, Any] = {"noise": 8, "styles": 16, "mapping_layers": 2, "channels": 8}
CONFIGS: dict[str, dict[str, Any]] = {
    "supervised": {"classifier": SMALL},
    "dann": {"classifier": SMALL},
    "cdan": {"classifier": SMALL},
    "mmd": {"classifier": SMALL},
    "deep_coral": {"classifier": SMALL},
    "adda": {"classifier": SMALL},
    "mcd": {"classifier": SMALL},
    "dsn": {
        "classifier": SMALL,
        "source_private": {"name": "private_encoder", "widths": [4], "hidden": 16},
        "target_private": {"name": "private_encoder", "widths": [4], "hidden": 16},
        "decoder": {"name": "shared_decoder", "channels": 4, "hidden": 16},
        "start": 0.0,
    },
    "vada": {"classifier": SMALL},
    "dirt_t": {"classifier": SMALL, "vada": 0.5, "interval": 1},
    "shot": {"classifier": SMALL},
    "self_ensembling": {"classifier": SMALL},
    "pseudo_labels": {"classifier": SMALL},
    "semi_supervised_gan": {
        "classifier": {"name": "mlp_classifier", "widths": [16, 8]},
        "generator": {"name": "mlp_generator", "widths": [16, 16], "noise": 8},
    },
    "gan": {
        "generator": {"name": "plain_generator", "widths": [16], "noise": 8},
        "discriminator": {"name": "plain_discriminator", "widths": [16, 8]},
        "repeats": 2,
    },
    "dcgan": {
        "generator": {"name": "dcgan_generator", "channels": 8, "noise": 8},
        "discriminator": {"name": "dcgan_discriminator", "channels": 8},
    },
    "lsgan": {
        "generator": {"name": "dcgan_generator", "channels": 8, "noise": 8},
        "discriminator": {"name": "dcgan_discriminator", "channels": 8},
    },
    "cgan": {
        "generator": {"name": "plain_generator", "widths": [16], "noise": 8, "conditional": True, "apart": [8, 8]},
        "discriminator": {"name": "plain_discriminator", "widths": [16], "conditional": "concat", "apart": [16, 4]},
    },
    "lapgan": {
        "generator": {"name": "laplacian_generator", "channels": 4, "noise": 8, "widths": [16]},
        "discriminator": {"name": "laplacian_discriminator", "channels": 4, "widths": [16]},
    },
    "progressive_gan": {
        "generator": {"name": "progressive_generator", "channels": 8, "noise": 8},
        "discriminator": {"name": "progressive_discriminator", "channels": 8},
    },
    "vae": {
        "generator": {"name": "conv_decoder", "channels": 8, "noise": 8},
        "encoder": {"name": "conv_encoder", "channels": 8, "noise": 8},
    },
    "wgan": {
        "generator": {"name": "dcgan_generator", "channels": 8, "noise": 8},
        "discriminator": {"name": "dcgan_discriminator", "channels": 8},
        "repeats": 2,
    },
    "wgan_gp": {
        "generator": {"name": "dcgan_generator", "channels": 8, "noise": 8},
        "discriminator": {"name": "dcgan_discriminator", "channels": 8, "norm": "none"},
        "repeats": 2,
    },
    "fgan": {
        "generator": {"name": "dcgan_generator", "channels": 8, "noise": 8},
        "discriminator": {"name": "dcgan_discriminator", "channels": 8},
    },
    "sngan": {
        "generator": {"name": "resnet_generator", **TINY},
        "discriminator": {"name": "resnet_discriminator", **TINY},
    },
    "acgan": {
        "generator": {"name": "dcgan_generator", "channels": 4, "conditional": True},
        "discriminator": {"name": "dcgan_discriminator", "channels": 4},
    },
    "projection_gan": {
        "generator": {"name": "resnet_generator", "conditional": True, **TINY},
        "discriminator": {"name": "resnet_discriminator", "conditional": "projection", **TINY},
        "repeats": 2,
    },
    "biggan": {
        "generator": {"name": "biggan_generator", "embedding": 8, **TINY},
        "discriminator": {"name": "biggan_discriminator", **TINY},
    },
    "stylegan": {
        "generator": {"name": "stylegan_generator", **STYLES},
        "discriminator": {"name": "stylegan_discriminator", "channels": 8},
        "augmentation": "diff_augment",
    },
    "stylegan2": {
        "generator": {"name": "stylegan2_generator", **STYLES, "conditional": True},
        "discriminator": {"name": "stylegan2_discriminator", "channels": 8, "conditional": "projection"},
        "augmentation": {"name": "ada", "kimg": 0.1, "interval": 2},
        "truncation": 0.7,
    },
    "cyclegan": {
        "generator": {"name": "resnet_translator", "channels": 4, "blocks": 1},
        "back_generator": {"name": "unet_translator", "channels": 4},
        "discriminator": {"name": "patchgan_discriminator", "channels": 4, "depth": 1},
        "back_discriminator": {"name": "patch_discriminator", "layers": "strided", "channels": 4},
        "history": 10,
        "semantic": 0.1,
        "ema": 0.5,
    },
    "class_translator": {
        "generator": {"name": "hourglass_translator", "channels": 8, "noise": 8},
        "discriminator": {"name": "dcgan_discriminator", "channels": 8, "norm": "none", "conditional": "projection"},
        "jitter": {"name": "warp"},
        "content": 0.1,
        "semantic": 0.1,
    },
    "pixel_da": {
        "classifier": SMALL,
        "generator": {"name": "pixel_da_generator", "channels": 8, "blocks": 1},
        "discriminator": {"name": "pixel_da_discriminator", "channels": 8, "widest": 2},
        "content": 1.0,
    },
    "cut": {
        "generator": {"name": "resnet_translator", "channels": 4, "blocks": 1},
        "discriminator": {"name": "patchgan_discriminator", "channels": 4, "depth": 2},
        "features": 16,
        "patches": 16,
        "semantic": 1.0,
    },
    "simgan": {
        "refiner": {"name": "simgan_refiner", "channels": 8, "blocks": 1},
        "discriminator": {"name": "patch_discriminator", "layers": "strided", "channels": 8},
        "pretrain_refiner": 1,
        "pretrain_discriminator": 1,
        "history": 16,
        "semantic": 1.0,
    },
    "stargan": {
        "generator": {"name": "stargan_generator", "channels": 4, "blocks": 1},
        "discriminator": {"name": "stargan_discriminator", "channels": 4, "depth": 3},
        "semantic": 0.1,
        "repeats": 2,
        "ema": 0.5,
    },
    "srgan": {
        "generator": {"name": "srresnet", "channels": 8, "blocks": 1, "scale": 2},
        "discriminator": {"name": "srgan_discriminator", "channels": 4, "levels": 3, "hidden": 8},
        "content": "guard",
        "semantic": 0.1,
        "jitter": "warp",
        "pretrain": 0.5,
        "ema": 0.5,
    },
    "pix2pix": {
        "generator": {"name": "unet_translator", "channels": 4},
        "discriminator": {"name": "patchgan_discriminator", "channels": 4, "conditional": True},
        "jitter": "warp",
        "history": 8,
    },
    "spade": {
        "generator": {"name": "spade_generator", "channels": 4, "widest": 2, "hidden": 8, "noise": 6},
        "discriminator": {
            "name": "patchgan_discriminator",
            "channels": 4,
            "depth": 1,
            "conditional": True,
            "scales": 2,
            "spectral_normalization": True,
        },
        "encoder": {"name": "conv_encoder", "channels": 4, "noise": 6},
        "l1": 1.0,
        "ema": 0.5,
    },
}
INFOS: dict[str, DataInfo] = {
    "pix2pix": tiny_info(paired=3),
    "spade": tiny_info(task="segmentation"),
}
"""The data of methods that need other than plain images."""


def test_all_built_in_methods_are_checked() -> None:
    names = {spec.name for spec in plugins().components.specs("method") if spec.distribution == "adaptgan"}
    assert names == set(CONFIGS)


@pytest.mark.parametrize("name", CONFIGS)
def test_built_in_methods_conform(name: str) -> None:
    method = check_method({"name": name, **CONFIGS[name]}, info=INFOS.get(name))
    assert not method.training
