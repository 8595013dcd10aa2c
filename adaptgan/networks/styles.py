"""What StyleGAN's generators share: the mapping to styles, truncation, mixing of styles, and noise."""

from __future__ import annotations

import math

import torch
from torch import nn

from adaptgan.datainfo import DataInfo
from adaptgan.networks.equalized import EqualizedLinear, PixelNorm
from adaptgan.networks.labels import known_classes, one_hot
from adaptgan.networks.layers import level_channels, pyramid

FOLLOW = 0.005
"""Share of each batch's mean in the running mean of w (Karras 2019, appendix B: a decay of 0.995)."""


class Mapping(nn.Module):
    """f: z (N, Z) and classes y -> w (N, W): fully connected layers with LeakyReLU 0.2 (Karras 2019, §2).

    z is normalized first; for a conditional one the class's embedding is, too, and is concatenated (Karras 2020a,
    appendix C). It computes in float32 under any precision.

    Args:
        noise: Z; 0 for a mapping of classes alone.
        width: W.
        depth: layers.
        classes: K; 0 where there are none.
        lr_multiplier: the layers' learning rate as a share of the others'.
    """

    def __init__(self, noise: int, width: int, depth: int = 8, classes: int = 0, lr_multiplier: float = 0.01) -> None:
        super().__init__()
        self.classes = classes
        self.normalize = PixelNorm()
        self.embedding = EqualizedLinear(classes, width) if classes else None
        sizes = [noise + (width if classes else 0)] + [width] * depth
        layers: list[nn.Module] = []
        for n, m in zip(sizes, sizes[1:], strict=False):
            layers += [EqualizedLinear(n, m, gain=math.sqrt(2), lr_multiplier=lr_multiplier), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)

    def forward(self, z_NZ: torch.Tensor | None, labels_N: torch.Tensor | None = None) -> torch.Tensor:
        """Styles w (N, W), float32."""
        with torch.autocast(next(self.parameters()).device.type, enabled=False):
            parts = [] if z_NZ is None else [self.normalize(z_NZ.float())]
            if self.embedding is not None:
                parts.append(self.normalize(self.embedding(one_hot(labels_N, self.classes))))
            w_NW: torch.Tensor = self.layers(torch.cat(parts, dim=1))
        return w_NW


class MeanStyle(nn.Module):
    """w̄, the running mean of w, which truncation pulls towards.

    For a conditional generator each class has its own: pulled towards the mean of all, images would lose the class
    that was asked for.

    Args:
        width: W.
        classes: K; 0 where there are none.
    """

    mean_KW: torch.Tensor

    def __init__(self, width: int, classes: int = 0) -> None:
        super().__init__()
        self.classes = classes
        self.register_buffer("mean_KW", torch.zeros(max(1, classes), width))

    @torch.no_grad()
    def update(self, w_NW: torch.Tensor, labels_N: torch.Tensor | None = None) -> None:
        """Follow a batch; a class's mean stays where the batch has none of it."""
        member_NK = one_hot(labels_N, self.classes) if self.classes else w_NW.new_ones(len(w_NW), 1)
        count_K1 = member_NK.sum(0)[:, None]
        # Sums, not a matrix product, which mixed precision would round.
        sum_KW = (member_NK[:, :, None] * w_NW.detach()[:, None, :]).sum(0)
        share_K1 = FOLLOW * (count_K1 > 0)
        self.mean_KW.add_(share_K1 * (sum_KW / count_K1.clamp(min=1) - self.mean_KW))

    def forward(self, labels_N: torch.Tensor | None = None) -> torch.Tensor:
        """The mean that each image's style is pulled towards, (N or 1, W)."""
        if not self.classes:
            return self.mean_KW
        return (one_hot(labels_N, self.classes)[:, :, None] * self.mean_KW).sum(1)


class StyleGenerator(nn.Module):
    """Base of generators whose layers are each steered by a style. z (N, Z) -> images (N, C, H, W) in [-1, 1].

    A subclass has its component's name as `component`, sets `n_styles` (L), and has `synthesize`.

    Args:
        data: the images' shape, any base · 2^n, grey or colour; the classes, for a conditional one.
        noise: Z.
        styles: W, width of the mapping network.
        mapping_layers: its depth.
        mapping_rate: its learning rate as a share of the other layers'.
        channels: of the coarsest layers, and the most of any.
        capacity: a layer of images with a shorter side of s has at most capacity / s channels.
        conditional: concatenate an embedding of the class with z in the mapping network.

    Attributes:
        widths: channels of each resolution, the coarsest first.
        sizes: height and width of each.
    """

    component: str
    n_styles: int

    def __init__(
        self,
        data: DataInfo,
        noise: int,
        styles: int,
        mapping_layers: int,
        mapping_rate: float,
        channels: int,
        capacity: int,
        conditional: bool,
    ) -> None:
        super().__init__()
        self.n_noise, self.conditional = noise, conditional
        classes = known_classes(data, self.component) if conditional else 0
        self.mapping = Mapping(noise, styles, mapping_layers, classes, mapping_rate)
        self.mean = MeanStyle(styles, classes)
        n, height, width = pyramid(data)
        self.widths = level_channels(min(height, width), n, channels, capacity)
        self.sizes = [(height * 2**level, width * 2**level) for level in range(n + 1)]

    def forward(
        self,
        z_NZ: torch.Tensor,
        labels_N: torch.Tensor | None = None,
        truncation: float | None = None,
        mixing: float = 0.0,
        return_styles: bool = False,
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Images; in training with noise drawn anew, when evaluated with noise that stays the same.

        Args:
            z_NZ: latents.
            labels_N: classes, for a conditional one.
            truncation: ψ: w̄ + ψ (w − w̄) instead of w (Karras 2019, appendix B); 1 or None for w itself.
            mixing: share of the images that take the styles from a random layer on from a second latent (§3.1).
            return_styles: give the styles (N, L, W), too, which the images are a differentiable function of.
        """
        styles_NLW = self.styles(z_NZ, labels_N, truncation, mixing)
        images_NCHW = self.synthesize(styles_NLW)
        return (images_NCHW, styles_NLW) if return_styles else images_NCHW

    def styles(
        self,
        z_NZ: torch.Tensor,
        labels_N: torch.Tensor | None = None,
        truncation: float | None = None,
        mixing: float = 0.0,
    ) -> torch.Tensor:
        """The style of each layer (N, L, W); see `forward`."""
        count = len(z_NZ)
        w_NW: torch.Tensor = self.mapping(z_NZ, labels_N) if not mixing else self._two(z_NZ, labels_N)
        if self.training:
            self.mean.update(w_NW[:count], labels_N)
        styles_NLW = w_NW[:count, None].expand(-1, self.n_styles, -1)
        if mixing:
            other_NW = w_NW[count:]
            styles_NLW = torch.where(self._kept(other_NW, mixing)[:, :, None], styles_NLW, other_NW[:, None])
        if truncation is not None and truncation != 1:
            mean_N1W = self.mean(labels_N)[:, None]
            styles_NLW = mean_N1W + truncation * (styles_NLW - mean_N1W)
        return styles_NLW

    def synthesize(self, styles_NLW: torch.Tensor) -> torch.Tensor:
        """Images of the given styles."""
        raise NotImplementedError

    def _two(self, z_NZ: torch.Tensor, labels_N: torch.Tensor | None) -> torch.Tensor:
        """Styles of the latents and, after them, of others of the same classes, (2N, W)."""
        both_NZ = torch.cat([z_NZ, torch.randn_like(z_NZ)])
        w_NW: torch.Tensor = self.mapping(both_NZ, None if labels_N is None else labels_N.repeat(2))
        return w_NW

    def _kept(self, w_NW: torch.Tensor, mixing: float) -> torch.Tensor:
        """Which layers keep the first latent's style, bool (N, L): those before a random crossover in 1 … L − 1."""
        count, device = len(w_NW), w_NW.device
        crossover_N1 = torch.randint(1, self.n_styles, (count, 1), device=device)
        mixed_N1 = torch.rand(count, 1, device=device) < mixing
        return ~mixed_N1 | (torch.arange(self.n_styles, device=device) < crossover_N1)


class Noise(nn.Module):
    """x + strength · noise, one map of standard normal noise for all channels (Karras 2019, §2). (N, C, H, W).

    Args:
        height: H.
        width: W.
        strengths: how many are learned: one for each channel (Karras 2019) or 1 for all (Karras 2020). They start at 0.
    """

    constant: torch.Tensor

    def __init__(self, height: int, width: int, strengths: int = 1) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(strengths, 1, 1))
        self.register_buffer("constant", torch.randn(1, 1, height, width))

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Same shape as given; the same noise for all images and each time when evaluated."""
        count, _, height, width = x_NCHW.shape
        noise_N1HW = torch.randn(count, 1, height, width, device=x_NCHW.device) if self.training else self.constant
        return x_NCHW + (self.strength * noise_N1HW).to(x_NCHW.dtype)
