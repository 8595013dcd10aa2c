"""The conformance checks of networks, objectives and plugins: built-ins pass, each kind of mistake is named."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn

from adaptgan.components import ComponentSpec
from adaptgan.plugins import plugins
from adaptgan.testing import check_network, check_objective, check_plugin, tiny_batch, tiny_info

STYLES: dict[str, Any] = {"noise": 8, "styles": 16, "mapping_layers": 2, "channels": 8}
LABELS = torch.arange(4) % 3
NETWORKS: dict[str, tuple[dict[str, Any], tuple[torch.Tensor, ...]]] = {
    "simgan_refiner": ({"channels": 8, "blocks": 1}, ()),
    "patch_discriminator": ({}, ()),
    "conv_classifier": ({"widths": [8, 8], "hidden": 16}, ()),
    "conv_segmenter": ({"widths": [4, 8]}, ()),
    "mlp_classifier": ({"widths": [16, 8], "data_init": False}, ()),
    "mlp_generator": ({"widths": [16, 16], "noise": 8}, (torch.rand(4, 8),)),
    "dcgan_generator": ({"channels": 8, "noise": 8}, (torch.randn(4, 8),)),
    "dcgan_discriminator": ({"channels": 8}, ()),
    "plain_generator": ({"widths": [16], "noise": 8}, (torch.randn(4, 8),)),
    "plain_discriminator": ({"widths": [16, 8]}, ()),
    "progressive_generator": ({"channels": 8, "noise": 8}, (torch.randn(4, 8),)),
    "progressive_discriminator": ({"channels": 8}, ()),
    "laplacian_generator": (
        {"channels": 4, "noise": 8, "widths": [16], "levels": 1},
        (torch.randn(4, 8 + 32 * 32),),
    ),
    "laplacian_discriminator": ({"channels": 4, "widths": [16]}, ()),
    "conv_decoder": ({"channels": 8, "noise": 8}, (torch.randn(4, 8),)),
    "conv_encoder": ({"channels": 8, "noise": 8}, ()),
    "resnet_generator": ({"channels": 8, "conditional": True}, (torch.randn(6, 128), torch.arange(6) % 3)),
    "resnet_discriminator": ({"channels": 8}, ()),
    "biggan_generator": (
        {"channels": 4, "embedding": 8, "noise": 12},
        (torch.randn(6, 12), torch.arange(6) % 3),
    ),
    "biggan_discriminator": ({"channels": 8}, (torch.rand(6, 1, 32, 32) * 2 - 1, torch.arange(6) % 3)),
    "stylegan_generator": ({**STYLES, "conditional": True}, (torch.randn(4, 8), LABELS)),
    "stylegan_discriminator": ({"channels": 8, "conditional": "projection"}, (torch.rand(4, 1, 32, 32), LABELS)),
    "stylegan2_generator": (STYLES, (torch.randn(4, 8),)),
    "stylegan2_discriminator": ({"channels": 8}, ()),
    "private_encoder": ({"widths": [4, 8], "hidden": 16}, ()),
    "resnet_translator": ({"channels": 4, "blocks": 2}, ()),
    "stargan_generator": ({"channels": 4, "blocks": 1}, (torch.rand(4, 1, 32, 32) * 2 - 1, LABELS)),
    "stargan_discriminator": ({"channels": 4}, ()),
    "unet_translator": ({"channels": 4}, ()),
    "hourglass_translator": ({"channels": 4, "noise": 8}, (torch.rand(4, 1, 32, 32), torch.randn(4, 8))),
    "srresnet": ({"scale": 2, "channels": 8, "blocks": 1}, ()),
    "srgan_discriminator": ({"channels": 4, "levels": 3, "hidden": 8}, ()),
    "patchgan_discriminator": ({"channels": 4}, ()),
    "spade_generator": (
        {"channels": 4, "widest": 2, "hidden": 8, "noise": 6},
        (torch.rand(4, 3, 32, 32), torch.randn(4, 6)),
    ),
    "pixel_da_generator": ({"channels": 8, "blocks": 1}, (torch.rand(4, 1, 32, 32) * 2 - 1, torch.rand(4, 10) * 2 - 1)),
    "pixel_da_discriminator": ({"channels": 8, "widest": 2}, ()),
    "shared_decoder": ({"channels": 4, "hidden": 16}, (torch.randn(4, 16),)),
}


def own(kind: str) -> set[str]:
    return {spec.name for spec in plugins().components.specs(kind) if spec.distribution == "adaptgan"}


def test_all_built_in_networks_are_checked() -> None:
    assert own("network") == set(NETWORKS)


@pytest.mark.parametrize("name", NETWORKS)
def test_built_in_networks_conform(name: str) -> None:
    options, inputs = NETWORKS[name]
    assert not check_network({"name": name, **options}, *inputs).training


@pytest.mark.parametrize("name", sorted(own("objective")))
def test_built_in_objectives_conform(name: str) -> None:
    check_objective(name)


def test_a_tiny_batch_is_what_methods_expect() -> None:
    batch = tiny_batch(tiny_info(3, 16, 5), 6, step=1, steps=4)
    assert batch.source.images_NCHW.shape == batch.real.images_NCHW.shape == (6, 3, 16, 16)
    assert batch.source.images_NCHW.abs().max() <= 1
    assert batch.source.labels_N is not None
    assert batch.real.labels_N is None
    assert batch.progress == 0.25
    assert not torch.equal(batch.source.images_NCHW, tiny_batch(tiny_info(3, 16, 5), 6, step=2).source.images_NCHW)
    assert tiny_batch(target=False).target is None


class Idle(nn.Module):
    """Has a layer that nothing reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.idle = nn.Linear(32, 1), nn.Linear(32, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.used(images)


class Noisy(nn.Module):
    """Random when evaluated."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images + nn.Parameter(torch.randn(1))


class Mixing(nn.Module):
    """Normalizes over the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.scale * (images - images.mean(0))


class Infinite(nn.Module):
    """Divides by zero."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images / 0.0


class Hidden(nn.Module):
    """Keeps state outside of its state_dict."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.secret = torch.randn(1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.scale * images * self.secret


class Unseeded(nn.Module):
    """First weights from a generator that nobody seeds."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator()
        generator.seed()
        self.scale = nn.Parameter(torch.rand(1, generator=generator))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.scale * images


class Shaky(Mixing):
    """Noise in training from a generator that nobody seeds."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        generator = torch.Generator()
        generator.seed()
        return self.scale * images * (torch.rand(1, generator=generator) if self.training else 1)


class InPlace(Mixing):
    """Changes what it is given."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.scale * images.clamp_(-0.5, 0.5)


class Left(Mixing):
    """A constant that does not move along."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.scale * images @ torch.ones(32, 1)


class Small(Mixing):
    """A small difference of large sums."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        ones = images.new_ones(32, 1)
        return self.scale * ((images + 500) @ ones - 500 * 32)


class Double(Mixing):
    """Wants another type than autocast gives."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rows = torch.arange(len(images), device=images.device)
        return images.new_zeros(len(images), 1).index_add(0, rows, images[:, 0, 0] @ self.scale.expand(32, 1))


class Extra(Mixing):
    """Keeps an object in its state."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.scale * images

    def get_extra_state(self) -> object:
        return {"seen": 1}

    def set_extra_state(self, state: object) -> None: ...


class Uphill:
    """The generator would make its images worse."""

    def real(self, logits: torch.Tensor) -> torch.Tensor:
        return (-logits).exp().clamp(max=1e6)

    def fake(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.exp().clamp(max=1e6)

    def generator(self, logits: torch.Tensor) -> torch.Tensor:
        return logits


class Halved(Uphill):
    """Overflows in 16 bits."""

    def real(self, logits: torch.Tensor) -> torch.Tensor:
        return super().real(logits) + (float("inf") if logits.dtype == torch.bfloat16 else 0)


class Apart(Uphill):
    """A constant that is not where the logits are."""

    def real(self, logits: torch.Tensor) -> torch.Tensor:
        return super().real(logits) * torch.ones(logits.shape)


class Reduced(Uphill):
    """Reduces, which is the caller's."""

    def real(self, logits: torch.Tensor) -> torch.Tensor:
        return super().real(logits).mean()


NETWORK_MISTAKES = {
    "Idle": "no gradient reaches",
    "Noisy": "random when evaluated",
    "Mixing": "depends on its neighbours",
    "Infinite": "not finite",
    "Hidden": "does not hold all of its state",
    "Unseeded": "built twice with the same seed, its weights differ",
    "Shaky": "in training, the same seed gives other values",
    "InPlace": "it changes what it is given",
    "Left": "is given tensors on c",
    "Small": r"in mixed precision \(bf16\) its values are off by",
    "Double": r"it fails in mixed precision \(bf16\)",
    "Extra": "holds .*_extra_state.*, which are no tensors",
}
OBJECTIVE_MISTAKES = {
    "Uphill": "Uphill.generator: at logit 0",
    "Reduced": "one value per logit",
    "Halved": "Halved.real: not finite in bfloat16",
    "Apart": "Apart.real: torch.Tensor.mul is given tensors on c",
}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = types.ModuleType("conformance_parts")
    registry = plugins().components
    added = {("network", name) for name in NETWORK_MISTAKES} | {("objective", name) for name in OBJECTIVE_MISTAKES}
    for kind, name in added:
        setattr(module, name, globals()[name])
        registry._specs[(kind, name)] = ComponentSpec(kind, name, f"conformance_parts:{name}", "an example")
    monkeypatch.setitem(sys.modules, "conformance_parts", module)
    yield
    for key in added:
        registry._specs.pop(key, None)


@pytest.mark.parametrize("name", NETWORK_MISTAKES)
def test_each_mistake_of_a_network_is_named(name: str) -> None:
    with pytest.raises(AssertionError, match=NETWORK_MISTAKES[name]):
        check_network(name)


@pytest.mark.parametrize("name", OBJECTIVE_MISTAKES)
def test_each_mistake_of_an_objective_is_named(name: str) -> None:
    with pytest.raises(AssertionError, match=OBJECTIVE_MISTAKES[name]):
        check_objective(name)


def test_a_plugin_that_is_not_installed() -> None:
    with pytest.raises(AssertionError, match="not installed"):
        check_plugin("no-such-plugin")


@pytest.mark.filterwarnings("ignore::adaptgan.plugins.PluginWarning")
def test_a_plugin_that_does_not_load(third_party: Callable[..., None]) -> None:
    third_party("sick-gan", "import no_such_module_at_all")
    with pytest.raises(AssertionError, match="no_such_module_at_all"):
        check_plugin("sick-gan")
