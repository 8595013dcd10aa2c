"""StarGAN's networks: a residual translator that is told the domain, and a discriminator of patches (Choi 2018)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.networks.labels import concat_class_planes, known_classes
from adaptgan.networks.normalization import Norm, normalization

Positive = Annotated[int, Field(ge=1)]

SLOPE = 0.01
"""Of the discriminator's LeakyReLU."""


class StarGANGenerator(nn.Module):
    """An image (N, C, H, W) and the domain it shall go to, as K planes -> (N, C, H, W) (Choi 2018, table 4).

    7×7 convolution, two of 4×4 that halve the sides, residual blocks x + norm(conv(relu(norm(conv(x))))), two
    transposed ones that double them, 7×7, tanh; a norm and ReLU follow all but the last. Any sides divisible by 4.

    A norm of each image's own channels takes away what is the same all over, and so are the domain's planes: behind
    the first convolution nothing is left of them but what its border of zeros makes of them, three pixels wide. That
    suffices for the paper. `norm_first: false` leaves that one norm out, and every pixel learns of the domain.

    Args:
        data: the images' shape and the domains, K.
        channels: of the first layer.
        blocks: residual blocks.
        norm: what normalizes; `instance` has nothing to learn.
        norm_first: normalize after the first convolution, too.
    """

    def __init__(
        self,
        data: DataInfo,
        channels: Positive = 64,
        blocks: Positive = 6,
        norm: Norm = "instance",
        norm_first: bool = True,
    ) -> None:
        super().__init__()
        if data.height % 4 or data.width % 4 or min(data.height, data.width) < 8:
            raise ParamsError(
                f"stargan_generator halves the sides twice and has images of {data.height}×{data.width} pixels. "
                "Ingest them with a `size` of multiples of 4, at least 8, such as [32, 32]."
            )
        self.n_classes = known_classes(data, "stargan_generator")
        one, two, four = channels, 2 * channels, 4 * channels
        first: Norm = norm if norm_first else "none"
        self.layers = nn.Sequential(
            *_active(nn.Conv2d(data.channels + self.n_classes, one, 7, 1, 3, bias=first == "none"), first, one),
            *_active(nn.Conv2d(one, two, 4, 2, 1, bias=norm == "none"), norm, two),
            *_active(nn.Conv2d(two, four, 4, 2, 1, bias=norm == "none"), norm, four),
            *(_Block(four, norm) for _ in range(blocks)),
            *_active(nn.ConvTranspose2d(four, two, 4, 2, 1, bias=norm == "none"), norm, two),
            *_active(nn.ConvTranspose2d(two, one, 4, 2, 1, bias=norm == "none"), norm, one),
            nn.Conv2d(one, data.channels, 7, 1, 3),
        )

    def forward(self, images_NCHW: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
        """Translated images in [-1, 1].

        Args:
            images_NCHW: in [-1, 1], of any domain.
            labels_N: int64, the domains they shall go to.
        """
        x_NCHW = concat_class_planes(images_NCHW, labels_N, self.n_classes)
        made_NCHW: torch.Tensor = self.layers(x_NCHW).float().tanh()
        return made_NCHW


class _Block(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))), 3×3. (N, C, H, W) -> the same."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        bias = norm == "none"
        self.layers = nn.Sequential(
            *_active(nn.Conv2d(channels, channels, 3, 1, 1, bias=bias), norm, channels),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=bias),
            normalization(norm, channels),
        )

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        result_NCHW: torch.Tensor = x_NCHW + self.layers(x_NCHW)
        return result_NCHW


def _active(layer: nn.Module, norm: Norm, channels: int) -> list[nn.Module]:
    """A layer, its norm, which makes a bias before it idle, and a ReLU."""
    return [layer, normalization(norm, channels), nn.ReLU(inplace=True)]


class StarGANDiscriminator(nn.Module):
    """Images (N, C, H, W) -> a logit for each patch (N, h, w), positive means real (Choi 2018, table 5).

    4×4 convolutions of stride 2 and LeakyReLU 0.01, twice as many channels each time, without a norm, which a gradient
    penalty forbids; then 3×3 to the logits. What tells the domains apart is the method's: a linear layer over the last
    maps, `n_features` numbers an image.

    Args:
        data: the images' shape.
        channels: of the first layer.
        depth: how often the sides are halved; without, as often as it leaves 2 pixels of the shorter one: 6 times at
            128 pixels, the paper's, and 4 times at 32.
        max_channels: at most this many.
    """

    by_batch = False

    def __init__(
        self, data: DataInfo, channels: Positive = 64, depth: Positive | None = None, max_channels: Positive = 2048
    ) -> None:
        super().__init__()
        smallest = min(data.height, data.width)
        possible = smallest.bit_length() - 1
        depth = depth or max(1, possible - 1)
        if depth > possible:
            raise ParamsError(
                f"stargan_discriminator: images of {data.height}×{data.width} pixels can be halved {possible} times, "
                f"not {depth}. Give a smaller `depth`."
            )
        widths = [min(max_channels, channels * 2**level) for level in range(depth)]
        inside = [data.channels, *widths[:-1]]
        self.layers = nn.Sequential(
            *(
                layer
                for before, after in zip(inside, widths, strict=True)
                for layer in (nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(SLOPE, inplace=True))
            )
        )
        self.out = nn.Conv2d(widths[-1], 1, 3, 1, 1, bias=False)
        self.n_features = widths[-1] * (data.height >> depth) * (data.width >> depth)

    def forward(
        self, images_NCHW: torch.Tensor, features: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Logits of the patches, (N, h, w), and the features (N, F) when asked."""
        x_NCHW = self.layers(images_NCHW)
        logits_NHW: torch.Tensor = self.out(x_NCHW)[:, 0]
        return (logits_NHW, x_NCHW.flatten(1)) if features else logits_NHW
