"""The conformance check of methods: the built-ins pass it, and each kind of mistake is caught by its own message."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from adaptgan.components import ComponentSpec
from adaptgan.data.batch import Batch
from adaptgan.datainfo import DataInfo
from adaptgan.methods.base import Losses, Method, OptimizerOptions, Phase
from adaptgan.plugins import plugins
from adaptgan.testing import check_method, tiny_info
from adaptgan.training.statistics import NonFiniteLoss

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


class Good(Method):
    """Learns a scale and, in a second phase, a shift.

    Args:
        data: the images' shape.
    """

    def __init__(self, data: DataInfo) -> None:
        super().__init__()
        self.scale = nn.Linear(1, 1)
        self.shift = nn.Linear(1, 1)
        self.register_buffer("count", torch.zeros(()))
        self.loose = 0.0

    def phases(self) -> list[Phase]:
        options = OptimizerOptions(lr=0.1)
        return [Phase("a", ("scale",), self.first, options), Phase("b", ("shift",), self.second, options)]

    def first(self, batch: Batch) -> Losses:
        return {"fit": (self.scale(batch.source.images_NCHW.mean((1, 2, 3))[:, None]) - 1).square().mean()}

    def second(self, batch: Batch) -> Losses:
        return {"fit": (self.shift(batch.real.images_NCHW.mean((1, 2, 3))[:, None]) - 1).square().mean()}


class TouchesOthers(Good):
    """Changes a module that the phase does not train."""

    def second(self, batch: Batch) -> Losses:
        with torch.no_grad():
            self.scale.weight.add_(1)
        return super().second(batch)


class Idle(Good):
    """Says it trains what its loss does not depend on."""

    def phases(self) -> list[Phase]:
        return [Phase("a", ("scale", "shift"), self.first, OptimizerOptions(lr=0.1))]


class Vector(Good):
    """A loss that is no scalar."""

    def first(self, batch: Batch) -> Losses:
        return {"fit": super().first(batch)["fit"][None]}


class Forgetful(Good):
    """Keeps state in a plain attribute."""

    def first(self, batch: Batch) -> Losses:
        self.loose += 1.0
        return {"fit": super().first(batch)["fit"] * self.loose**3 + self.scale.bias.square().sum() * self.loose}


class Random(Good):
    """Draws from a generator that nobody seeds."""

    def first(self, batch: Batch) -> Losses:
        generator = torch.Generator()
        generator.seed()
        return {"fit": super().first(batch)["fit"] + torch.rand(1, generator=generator)[0] * self.scale.bias.sum()}


class Late(Good):
    """A phase that does not start within the steps."""

    def phases(self) -> list[Phase]:
        first, second = super().phases()
        return [first, Phase("b", ("shift",), self.second, second.optimizer, start=1000)]


class Diverges(Good):
    """A loss that is not finite."""

    def first(self, batch: Batch) -> Losses:
        return {"fit": super().first(batch)["fit"] / 0.0}


class WrongPredictions(Good):
    """Rows that do not sum to one."""

    def predict(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(images_NCHW), 3)

    def features(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        return images_NCHW.flatten(1)


class Samples(Good):
    """Images from noise: the scale and the shift as brightness."""

    conditional = True

    def noise(self, generator: torch.Generator, count: int) -> torch.Tensor:
        return torch.randn(count, 1, generator=generator).to(self.scale.weight.device)

    def sample(
        self, labels_N: torch.Tensor, generator: torch.Generator, truncation: float | None = None
    ) -> torch.Tensor:
        level_N1 = self.scale(self.noise(generator, len(labels_N))).sigmoid() / (1 + labels_N[:, None])
        return level_N1.view(-1, 1, 1, 1).expand(-1, 1, 32, 32)


class SamplesAlike(Samples):
    """Noise that the seed does not decide."""

    def noise(self, generator: torch.Generator, count: int) -> torch.Tensor:
        return torch.linspace(-1, 1, count, device=self.scale.weight.device)[:, None]


class SaysConditional(Samples):
    """Its classes decide nothing."""

    def sample(
        self, labels_N: torch.Tensor, generator: torch.Generator, truncation: float | None = None
    ) -> torch.Tensor:
        return super().sample(torch.zeros_like(labels_N), generator, truncation)


class SamplesOutside(Samples):
    """Images beyond white."""

    def sample(
        self, labels_N: torch.Tensor, generator: torch.Generator, truncation: float | None = None
    ) -> torch.Tensor:
        return 10 * super().sample(labels_N, generator, truncation)


class Leaks(Good):
    """A loss that reaches another player."""

    def second(self, batch: Batch) -> Losses:
        for parameter in self.scale.parameters():
            parameter.requires_grad_(True)
        return {"fit": super().second(batch)["fit"] + self.scale.weight.square().sum()}


class Keeps(Good):
    """Keeps a graph for a later phase, and learns through it now."""

    def phases(self) -> list[Phase]:
        first, second = super().phases()
        return [first, Phase("b", ("shift",), self.both, second.optimizer, keeps=("scale",))]

    def both(self, batch: Batch) -> Losses:
        return {"fit": (self.second(batch)["fit"] + self.scale.weight).square().sum()}


class HalfIdle(Good):
    """A part of a module that nothing reaches."""

    def __init__(self, data: DataInfo) -> None:
        super().__init__(data)
        self.scale.spare = nn.Linear(1, 1)


class Own(Good):
    """A weight that is of no module."""

    def __init__(self, data: DataInfo) -> None:
        super().__init__(data)
        self.loose_weight = nn.Parameter(torch.ones(1))


class Extra(Good):
    """State that is no tensor."""

    def get_extra_state(self) -> object:
        return {"seen": 1}

    def set_extra_state(self, state: object) -> None: ...


class FullOnly(Good):
    """Wants another type than autocast gives."""

    def first(self, batch: Batch) -> Losses:
        level_N1 = self.scale(batch.source.images_NCHW.mean((1, 2, 3))[:, None])
        rows = torch.arange(len(level_N1), device=level_N1.device)
        total_N1 = torch.zeros_like(level_N1).index_add(0, rows, level_N1 @ level_N1.new_ones(1, 1))
        return {"fit": (total_N1 - 1).square().mean()}


class Here(Good):
    """A constant that is not where the batch is."""

    def second(self, batch: Batch) -> Losses:
        return {"fit": super().second(batch)["fit"] + (self.shift.weight * torch.ones(1, 2)).mean()}


class PredictsHere(Good):
    """Answers from the CPU."""

    def predict(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        return torch.full((len(images_NCHW), 3), 1 / 3)

    def features(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        return images_NCHW.flatten(1)


class Undocumented(Good):
    """No help for its option."""

    def __init__(self, data: DataInfo, secret: int = 3) -> None:
        super().__init__(data)


MISTAKES = {
    "TouchesOthers": "changed ['scale'], which it does not train",
    "Idle": "trains ['shift'], but no weight of it ever moved",
    "Vector": "is no scalar",
    "Forgetful": "resuming a checkpoint differs",
    "Random": "two trainings with the same seed differ",
    "Late": "the phase 'b' never had its turn",
    "Diverges": "a/fit",
    "WrongPredictions": "rows must sum to 1",
    "SamplesAlike": "another seed gives the same images",
    "SaysConditional": "asking for other classes changed nothing",
    "SamplesOutside": "images must stay in [-1, 1]",
    "Undocumented": "no help for ['secret']",
    "Leaks": "gradients of the phase 'b' reach ['scale'], which it does not train",
    "Keeps": "gradients of the phase 'b' reach ['scale'], which it does not train",
    "HalfIdle": "no gradient of any phase reaches ['scale.spare.bias', 'scale.spare.weight']",
    "Own": "no phase can train ['loose_weight']",
    "Extra": "holds ['_extra_state'], which are no tensors",
    "FullOnly": "it fails in mixed precision (bf16)",
    "Here": "Here, phase 'b': torch.Tensor.mul is given tensors on c",
    "PredictsHere": "PredictsHere.predict came out on cpu; its input lay on",
}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = types.ModuleType("conformance_examples")
    specs = []
    for name in ("Good", "Samples", *MISTAKES):
        setattr(module, name, globals()[name])
        specs.append(ComponentSpec("method", name, f"conformance_examples:{name}", "an example"))
    monkeypatch.setitem(sys.modules, "conformance_examples", module)
    registry = plugins().components
    for spec in specs:
        registry._specs[(spec.kind, spec.name)] = spec
    yield
    for spec in specs:
        del registry._specs[(spec.kind, spec.name)]


@pytest.mark.parametrize("name", ["Good", "Samples"])
def test_a_good_method_passes(name: str) -> None:
    check_method(name)


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_named(name: str) -> None:
    with pytest.raises((AssertionError, NonFiniteLoss), match=re.escape(MISTAKES[name])):
        check_method(name)
