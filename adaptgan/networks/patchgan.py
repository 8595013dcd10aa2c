"""PatchGAN (Isola 2017), at one scale or several (Wang 2018)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.networks.layers import start_small
from adaptgan.networks.normalization import Norm, normalization
from adaptgan.networks.spectral import spectral_norm

Maps = torch.Tensor | tuple[torch.Tensor, list[torch.Tensor]]


class PatchGANDiscriminator(nn.Module):
    """C64-C128-C256-C512, 4×4 convolutions, then one logit per patch. (N, C, H, W) -> (N, h, w); positive means real.

    Isola 2017, appendix 6.1.2: the first `depth` convolutions have stride 2, the last two stride 1; LeakyReLU 0.2
    after all but the last, a norm before it in all but the first. Each logit judges a square of the image:

        depth             0   1   2   3    4    5
        square's side     1  16  34  70  142  286

    0 is the PixelGAN, of 1×1 convolutions. Weights start from N(0, 0.02).

    With several `scales`, as many such networks look at the image, at its half, its quarter, … (Wang 2018, §3.2), and
    the results are lists, the finest first.

    Args:
        data: the images' shape, and that of the paired ones, which are judged where there are any.
        channels: of the first layer; deeper ones have up to 8 times as many.
        depth: how wide a patch it judges; the paper's is 3.
        norm: what normalizes; `instance` has nothing to learn.
        spectral_normalization: bound every layer's Lipschitz constant (Miyato 2018).
        conditional: look at what an image was made from, too: (N, C + C', H, W), concatenated by channels; of a label
            map a channel for each class of pixels.
        scales: how many sizes of the image to look at.
    """

    def __init__(
        self,
        data: DataInfo,
        channels: Annotated[int, Field(ge=1)] = 64,
        depth: Annotated[int, Field(ge=0, le=5)] = 3,
        norm: Norm = "instance",
        spectral_normalization: bool = False,
        conditional: bool = False,
        scales: Annotated[int, Field(ge=1)] = 1,
    ) -> None:
        super().__init__()
        self.by_batch, self.conditional = norm == "batch", conditional
        smallest = min(data.height, data.width)
        for _ in range(scales - 1):
            smallest = (smallest + 1) // 2
        needed = 3 * 2**depth if depth else 1
        if smallest < needed:
            raise ParamsError(
                f"patchgan_discriminator: at depth {depth} it needs images of at least {needed} pixels a side; "
                f"the smallest it would see have {smallest} ({data.height}×{data.width} at {scales} scales). Give a "
                "smaller `depth`, or fewer `scales`."
            )
        given = data.n_classes if data.task == "segmentation" else data.channels
        inside = (data.paired or data.channels) + (given if conditional else 0)
        self.scales = nn.ModuleList(_Patches(inside, channels, depth, norm) for _ in range(scales))
        start_small(self)
        if spectral_normalization:
            for layer in [module for module in self.modules() if isinstance(module, nn.Conv2d)]:
                spectral_norm(layer)

    def forward(
        self, images_NCHW: torch.Tensor, features: bool = False
    ) -> Maps | tuple[list[torch.Tensor], list[list[torch.Tensor]]] | list[torch.Tensor]:
        """Logits of the patches, (N, h, w).

        Args:
            images_NCHW: in [-1, 1]; for a conditional one the inputs and what was made of them.
            features: also give the maps after each hidden layer, (N, F, h', w').

        Returns:
            Logits, or (logits, maps); with several scales logits and maps are lists of a scale's each.
        """
        logits, maps = [], []
        for index, patches in enumerate(self.scales):
            if index:
                images_NCHW = F.avg_pool2d(images_NCHW, 3, stride=2, padding=1, count_include_pad=False)
            at_scale = patches(images_NCHW)
            maps.append(at_scale[:-1])
            logits.append(at_scale[-1][:, 0].float())
        if len(self.scales) == 1:
            return (logits[0], maps[0]) if features else logits[0]
        return (logits, maps) if features else logits


class _Patches(nn.Module):
    """One scale's layers; gives what each of them gives."""

    def __init__(self, inside: int, channels: int, depth: int, norm: Norm) -> None:
        super().__init__()
        kernel, padding = (4, 1) if depth else (1, 0)
        widths = [channels * min(8, 2**level) for level in range(max(2, depth + 1))]
        self.layers = nn.ModuleList()
        for level, width in enumerate(widths):
            plain: Norm = "none" if level == 0 else norm
            # A norm subtracts the mean, and a bias with it.
            conv = nn.Conv2d(inside, width, kernel, 2 if level < depth else 1, padding, bias=plain == "none")
            self.layers.append(nn.Sequential(conv, normalization(plain, width), nn.LeakyReLU(0.2, inplace=True)))
            inside = width
        self.layers.append(nn.Conv2d(inside, 1, kernel, 1, padding))

    def forward(self, x_NCHW: torch.Tensor) -> list[torch.Tensor]:
        found: list[torch.Tensor] = []
        for layer in self.layers:
            x_NCHW = layer(x_NCHW)
            found.append(x_NCHW)
        return found
