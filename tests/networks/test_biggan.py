"""BigGAN's networks: where each chunk of z goes, first values, attention, the projection."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.networks.attention import SelfAttention
from adaptgan.networks.biggan import BigGANDiscriminator, BigGANGenerator, shares
from adaptgan.networks.conditional import EmbeddedBatchNorm

GREY = DataInfo(1, 32, 32, ("a", "b", "c"))
Y = torch.tensor([0, 2])


def generator(**options: Any) -> BigGANGenerator:
    torch.manual_seed(0)
    return BigGANGenerator(GREY, **{"noise": 14, "channels": 4, "embedding": 6, **options}).eval()


def seen(network: BigGANGenerator, z: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The base map, and each block's condition."""
    conditions: list[torch.Tensor] = []
    base: list[torch.Tensor] = []
    hooks = [network.linear.register_forward_hook(lambda _, __, out: base.append(out))]
    hooks += [block.register_forward_pre_hook(lambda _, args: conditions.append(args[1])) for block in network.blocks]
    network(z, y)
    for hook in hooks:
        hook.remove()
    return base[0], conditions


def test_each_chunk_of_z_goes_to_its_own_block_only() -> None:
    network, z = generator(), torch.randn(2, 14)
    assert network.chunks == [4, 4, 3, 3]  # 14 over the base and three blocks
    base, conditions = seen(network, z, Y)
    start = 0
    for part, size in enumerate(network.chunks):
        changed = z.clone()
        changed[:, start : start + size] += 1
        new_base, new_conditions = seen(network, changed, Y)
        moved = [not torch.equal(base, new_base)]
        moved += [not torch.equal(a, b) for a, b in zip(conditions, new_conditions, strict=True)]
        assert moved == [part == other for other in range(4)]
        assert not torch.allclose(network(z, Y), network(changed, Y))
        start += size
    assert start == 14


def test_all_blocks_share_one_embedding() -> None:
    network, z = generator(), torch.randn(2, 14)
    _, conditions = seen(network, z, Y)
    start = network.chunks[0]
    for condition, size in zip(conditions, network.chunks[1:], strict=True):
        expected = torch.cat([z[:, start : start + size], network.embedding.weight[Y]], 1)
        assert torch.equal(condition, expected)
        start += size


def test_orthogonal_first_values_and_spectral_norm_of_all_but_the_embedding() -> None:
    for network in (generator(), BigGANDiscriminator(GREY, channels=4)):
        layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)]
        plain = [layer for layer in layers if not parametrize.is_parametrized(layer)]
        assert plain == ([network.embedding] if isinstance(network, BigGANGenerator) else [])
        for layer in layers:
            raw = layer.parametrizations.weight.original if layer not in plain else layer.weight
            singular = torch.linalg.svdvals(raw.flatten(1))
            assert torch.allclose(singular, torch.ones_like(singular), atol=1e-4)
            assert getattr(layer, "bias", None) is None or layer.bias.abs().max() == 0


def test_only_conditional_norms_but_the_last() -> None:
    network = generator()
    assert len([m for m in network.modules() if isinstance(m, EmbeddedBatchNorm)]) == 6
    assert isinstance(network.norm, nn.BatchNorm2d)


@pytest.mark.parametrize(("side", "expected"), [(None, 16), (8, 8), (16, 16), (0, None)])
def test_where_attention_looks(side: int | None, expected: int | None) -> None:
    heights: list[int] = []
    for network, inputs in (
        (generator(attention=side), (torch.randn(2, 14), Y)),
        (BigGANDiscriminator(GREY, channels=4, attention=side), (torch.randn(2, 1, 32, 32), Y)),
    ):
        for module in network.modules():
            if isinstance(module, SelfAttention):
                module.register_forward_pre_hook(lambda _, args: heights.append(args[0].shape[2]))
        network(*inputs)
    assert heights == ([] if expected is None else [expected, expected])


def test_the_papers_widths() -> None:
    """Brock 2019, table 4: G 16·ch to ch in five blocks, D ch to 16·ch in six, the last without halving."""
    large = DataInfo(3, 128, 128, ("a", "b"))
    up, down = BigGANGenerator(large, channels=1), BigGANDiscriminator(large, channels=1)
    assert [block.second.out_channels for block in up.blocks] == [16, 8, 4, 2, 1]
    assert up.chunks == [20] * 6
    blocks = [block for block in down.blocks if not isinstance(block, SelfAttention)]
    assert [block.second.out_channels for block in blocks] == [1, 2, 4, 8, 16, 16]
    assert [block.down for block in blocks] == [True] * 5 + [False]
    assert isinstance(down.blocks[1], SelfAttention)


def test_logits_by_hand() -> None:
    torch.manual_seed(0)
    network = BigGANDiscriminator(GREY, channels=4).eval()
    x = torch.randn(2, 1, 32, 32)
    logits, phi = network(x, Y, features=True)
    assert phi.shape == (2, network.n_features)
    for n in range(2):
        expected = phi[n] @ (network.head.weight[0] + network.embedding.weight[Y[n]]) + network.head.bias[0]
        assert logits[n].item() == pytest.approx(expected.item(), rel=1e-4)


def test_shares() -> None:
    for total in (4, 7, 120):
        for parts in (1, 3, 4):
            cut = shares(total, parts)
            assert sum(cut) == total and len(cut) == parts and max(cut) - min(cut) <= 1


def test_what_cannot_be_built_is_named() -> None:
    unlabelled = DataInfo(1, 32, 32)
    with pytest.raises(ParamsError, match="biggan_generator: a conditional network needs classes"):
        BigGANGenerator(unlabelled)
    with pytest.raises(ParamsError, match="biggan_discriminator: a conditional network needs classes"):
        BigGANDiscriminator(unlabelled)
    with pytest.raises(ParamsError, match="noise: expected at least 4"):
        generator(noise=3)
    with pytest.raises(ParamsError, match=r"attention: expected .* 32, 16, 8, or 0 for none; found 12"):
        generator(attention=12)
    with pytest.raises(ParamsError, match=r"attention: expected .* 16, 8, 4, or 0 for none; found 32"):
        BigGANDiscriminator(GREY, channels=4, attention=32)
    with pytest.raises(ParamsError, match="was given none"):
        generator()(torch.randn(2, 14))
