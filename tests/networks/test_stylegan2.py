"""Modulated convolutions against one convolution for each image, in float64; skips and residual blocks."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from adaptgan.datainfo import DataInfo
from adaptgan.networks.fir import FIR
from adaptgan.networks.stylegan2 import (
    ModulatedConv,
    ResidualDown,
    StyleGAN2Generator,
    demodulation,
)

CASES = pytest.mark.parametrize(
    ("kernel", "demodulate", "up"), [(3, True, False), (3, True, True), (3, False, False), (1, False, False)]
)


def layer(kernel: int, demodulate: bool, up: bool, fused: bool = False) -> ModulatedConv:
    torch.manual_seed(0)
    return ModulatedConv(4, 6, kernel, 5, demodulate, up, fused).double()


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, 4, 6, 8, dtype=torch.float64, generator=generator)
    return x, torch.randn(3, 5, dtype=torch.float64, generator=generator)


def image_by_image(conv: ModulatedConv, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """Karras 2020, eq. 1-3, with loops."""
    weight = conv.conv.weight / (conv.conv.weight[0].numel()) ** 0.5
    results = []
    for n in range(len(x)):
        s = conv.style.weight @ w[n] / 5**0.5 + conv.style.bias
        own = weight.clone()
        for i in range(4):
            own[:, i] = s[i] * weight[:, i]
        if conv.demodulate:
            for o in range(6):
                own[o] = own[o] / (own[o].square().sum() + 1e-8).sqrt()
        if conv.fir is None:
            y = F.conv2d(x[n : n + 1], own, padding=own.shape[2] // 2)
        else:
            spread = x.new_zeros(1, 4, 2 * x.shape[2] - 1, 2 * x.shape[3] - 1)
            spread[:, :, ::2, ::2] = x[n : n + 1]
            y = F.conv2d(spread, own.flip(2, 3), padding=2)  # the transposed convolution, written out
            line = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype) / 4
            y = F.conv2d(y.transpose(0, 1), torch.outer(line, line)[None, None], padding=1).transpose(0, 1)
        results.append(y)
    return torch.cat(results)


@CASES
@pytest.mark.parametrize("fused", [False, True])
def test_modulated_convolution(kernel: int, demodulate: bool, up: bool, fused: bool) -> None:
    conv, (x, w) = layer(kernel, demodulate, up, fused), inputs()
    found = conv(x, w)
    assert found.shape == ((3, 6, 12, 16) if up else (3, 6, 6, 8))
    assert torch.allclose(found, image_by_image(conv, x, w), rtol=1e-6, atol=1e-8)


@CASES
def test_fused_and_unfused_have_the_same_gradients(kernel: int, demodulate: bool, up: bool) -> None:
    gradients = []
    for fused in (False, True):
        conv, (x, w) = layer(kernel, demodulate, up, fused), inputs()
        x.requires_grad_(), w.requires_grad_()
        loss = (conv(x, w) * torch.linspace(-1, 1, 6, dtype=torch.float64)[:, None, None]).square().sum()
        gradients.append(torch.autograd.grad(loss, [x, w, *conv.parameters()]))
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, rtol=1e-8, atol=1e-10)


def test_fused_and_unfused_generators_agree() -> None:
    info, z = DataInfo(3, 16, 16), torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    images = []
    for fused in (False, True):
        torch.manual_seed(0)
        generator = StyleGAN2Generator(info, 8, 12, 2, channels=6, fused=fused)
        torch.manual_seed(1)
        images.append(generator.train()(z))
    assert torch.allclose(images[0], images[1], atol=1e-5)
    assert images[0].std() > 0.05


def test_demodulation_gives_unit_variance() -> None:
    """Whatever the style: inputs of unit variance give outputs of unit variance, each map of them (eq. 2)."""
    torch.manual_seed(0)
    conv, plain = ModulatedConv(16, 8, 3, 5), ModulatedConv(16, 8, 3, 5, demodulate=False)
    plain.load_state_dict(conv.state_dict())
    x, w = torch.randn(64, 16, 16, 16), 5 * torch.randn(1, 5).expand(64, -1)
    variance = conv(x, w)[:, :, 1:-1, 1:-1].var((0, 2, 3))
    assert torch.allclose(variance, torch.ones(8), atol=0.05)
    assert plain(x, w).var() > 1.5


def test_demodulation_is_computed_in_float32_under_mixed_precision() -> None:
    conv, w = ModulatedConv(4, 6, 3, 5), torch.randn(3, 5)
    seen = []
    conv.style.register_forward_hook(lambda module, args, output: seen.append(output))
    with torch.autocast("cpu", torch.bfloat16):
        y = conv(torch.randn(3, 4, 8, 8), w)
    assert y.dtype == torch.bfloat16 and seen[0].dtype == torch.float32
    weight = torch.randn(6, 4, 3, 3)
    expected = 1 / (seen[0][:, None, :, None, None] * weight).square().sum((2, 3, 4)).add(1e-8).sqrt()
    assert torch.allclose(demodulation(weight, seen[0]), expected, rtol=1e-5)


def test_the_image_is_the_sum_of_all_resolutions() -> None:
    torch.manual_seed(0)
    generator = StyleGAN2Generator(DataInfo(3, 16, 16), 8, 12, 2, channels=6).eval()
    assert generator.n_styles == 6 and len(generator.to_image) == 3 and len(generator.layers) == 5
    shares: list[torch.Tensor] = []
    for part in generator.to_image:
        part.register_forward_hook(lambda module, args, output: shares.append(output))
    image = generator(torch.randn(2, 8))
    fir = FIR()
    expected = fir.up(fir.up(shares[0])) + fir.up(shares[1]) + shares[2]
    assert torch.allclose(image, expected.tanh(), atol=1e-6)


def test_each_style_steers_its_own_layers() -> None:
    torch.manual_seed(0)
    generator = StyleGAN2Generator(DataInfo(1, 16, 16), 8, 12, 2, channels=6).eval()
    given: dict[str, torch.Tensor] = {}
    for name, module in generator.named_modules():
        if isinstance(module, ModulatedConv):
            module.register_forward_hook(lambda module, args, output, name=name: given.update({name: args[1]}))
    styles = torch.randn(2, 6, 12)
    generator.synthesize(styles)
    places = {name: next(i for i in range(6) if torch.equal(styles[:, i], w)) for name, w in given.items()}
    assert places == {f"layers.{i}.conv": i for i in range(5)} | {f"to_image.{i}.conv": 2 * i + 1 for i in range(3)}


def test_residual_block_by_hand() -> None:
    torch.manual_seed(0)
    block, x, fir = ResidualDown(3, 5), torch.randn(2, 3, 8, 8), FIR()
    he = (2 / 27) ** 0.5
    y = F.leaky_relu(F.conv2d(x, he * block.first.weight, block.first.bias, padding=1), 0.2)
    y = F.leaky_relu(F.conv2d(fir.blur(y, 2), he * block.second.weight, block.second.bias, stride=2), 0.2)
    skip = F.conv2d(x, block.skip.weight / 3**0.5)
    line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    kernel = torch.outer(line, line)[None, None].expand(5, 1, 4, 4)
    skip = F.conv2d(skip, kernel, padding=1, stride=2, groups=5)
    assert torch.allclose(block(x), (y + skip) / 2**0.5, atol=1e-5)


def test_a_wide_block_keeps_its_inputs_scale() -> None:
    """Of flat maps. Each convolution: times 2 · (1 + 0.2²) / 2; the skip: times 1; half of the sum of both."""
    block, level = ResidualDown(512, 512), torch.randn(8, 512, 1, 1)
    inside = block(level.expand(-1, -1, 16, 16))[:, :, 2:-2, 2:-2]
    assert inside.square().mean().item() == pytest.approx((1.04**2 + 1) / 2, rel=0.1)
