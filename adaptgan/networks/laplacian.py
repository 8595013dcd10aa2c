"""LAPGAN's networks: a generator and a discriminator for each level of a Laplacian pyramid (Denton et al. 2015)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.datainfo import DataInfo
from adaptgan.networks.labels import known_classes, one_hot
from adaptgan.networks.layers import pyramid


def down(images_NCHW: torch.Tensor) -> torch.Tensor:
    """d(I): blurred and halved, the mean of every square of four pixels."""
    return F.avg_pool2d(images_NCHW, 2)


def up(images_NCHW: torch.Tensor) -> torch.Tensor:
    """u(I): doubled and smoothed, bilinear."""
    return F.interpolate(images_NCHW, scale_factor=2.0, mode="bilinear", align_corners=False)


def laplacian(images_NCHW: torch.Tensor, levels: int) -> tuple[torch.Tensor, list[tuple[torch.Tensor, torch.Tensor]]]:
    """The Laplacian pyramid of images: h_k = I_k − u(I_{k+1}), eq. 2.

    Args:
        images_NCHW: I_0, sides a multiple of 2^levels.
        levels: how many residuals.

    Returns:
        The coarsest image, and for each level, coarse to fine, the residual h and the coarse image l it is added to.
    """
    parts = []
    for _ in range(levels):
        smaller_NCHW = down(images_NCHW)
        coarse_NCHW = up(smaller_NCHW)
        parts.append((images_NCHW - coarse_NCHW, coarse_NCHW))
        images_NCHW = smaller_NCHW
    return images_NCHW, parts[::-1]


class LaplacianGenerator(nn.Module):
    """z (N, Z) -> images (N, C, H, W) in [-1, 1], coarse to fine: I_k = u(I_{k+1}) + G_k(z_k, u(I_{k+1})), eq. 3.

    The coarsest G is fully connected, two layers of 1200 with ReLU and a tanh. The others are three 5×5 convolutions
    with ReLU; their noise is one more plane beside the colours, as is the class, through a linear layer (§3.2, §4).
    z holds the noise of all levels, the coarsest's first. Each level's image is cut to [-1, 1].

    Args:
        data: the images' shape, any base · 2^n, grey or colour; the classes, for a conditional one.
        noise: how much of it the coarsest level takes; the others take one number per pixel.
        levels: n; as many as leave `smallest` pixels when null.
        smallest: least pixels of the coarsest image's shorter side.
        widths: units of the coarsest level's hidden layers.
        channels: of the other levels' convolutions.
        conditional: give the class to all levels.
    """

    def __init__(
        self,
        data: DataInfo,
        noise: int = 100,
        levels: int | None = None,
        smallest: int = 8,
        widths: tuple[int, ...] = (1200, 1200),
        channels: int = 64,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        self.conditional = conditional
        self.n_classes = known_classes(data, "laplacian_generator") if conditional else 0
        self.levels, height, width = pyramid(data, levels, smallest)
        self.base = (data.channels, height, width)
        sizes = [(height * 2**level, width * 2**level) for level in range(1, self.levels + 1)]
        self.noises = [noise, *(h * w for h, w in sizes)]
        self.n_noise = sum(self.noises)
        layers: list[nn.Module] = []
        units = (noise + self.n_classes, *widths)
        for inside, outside in zip(units, widths, strict=False):
            layers += [nn.Linear(inside, outside), nn.ReLU()]
        self.coarsest = nn.Sequential(*layers, nn.Linear(units[-1], math.prod(self.base)), nn.Tanh())
        self.finer = nn.ModuleList(LevelGenerator(data.channels, size, channels, self.n_classes) for size in sizes)

    def forward(
        self,
        z_NZ: torch.Tensor,
        labels_N: torch.Tensor | None = None,
        coarse: Sequence[torch.Tensor] | None = None,
    ) -> torch.Tensor | list[torch.Tensor]:
        """Images (N, C, H, W).

        Args:
            z_NZ: latents.
            labels_N: classes, for a conditional one.
            coarse: for training, each finer level's l, coarse to fine: every level is then asked by itself, and a list
                is returned: the coarsest image, then each level's residual.
        """
        class_NK = one_hot(labels_N, self.n_classes) if self.conditional else z_NZ[:, :0]
        first_NZ, *planes = z_NZ.split(self.noises, dim=1)
        image_NCHW: torch.Tensor = self.coarsest(torch.cat([first_NZ, class_NK], dim=1)).view(-1, *self.base).float()
        if coarse is not None:
            levels = zip(self.finer, planes, coarse, strict=True)
            return [image_NCHW, *(level(noise, low_NCHW, class_NK) for level, noise, low_NCHW in levels)]
        for level, noise in zip(self.finer, planes, strict=True):
            low_NCHW = up(image_NCHW)
            image_NCHW = (low_NCHW + level(noise, low_NCHW, class_NK)).clamp(-1, 1)
        return image_NCHW


class LevelGenerator(nn.Module):
    """G_k: noise (N, H·W), the coarse image l (N, C, H, W) and the class (N, K) -> a residual (N, C, H, W).

    Args:
        colours: C.
        size: H and W.
        channels: of the convolutions.
        classes: K.
    """

    def __init__(self, colours: int, size: tuple[int, int], channels: int, classes: int) -> None:
        super().__init__()
        self.size = size
        self.class_plane = nn.Linear(classes, math.prod(size)) if classes else None
        self.layers = nn.Sequential(
            nn.Conv2d(colours + 1 + bool(classes), channels, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(channels, colours, 5, padding=2),
        )

    def forward(self, noise_NP: torch.Tensor, coarse_NCHW: torch.Tensor, class_NK: torch.Tensor) -> torch.Tensor:
        """Residuals to add to the coarse images."""
        planes = [coarse_NCHW, noise_NP.view(-1, 1, *self.size)]
        if self.class_plane is not None:
            planes.append(self.class_plane(class_NK).view(-1, 1, *self.size))
        residual_NCHW: torch.Tensor = self.layers(torch.cat(planes, dim=1))
        return residual_NCHW.float()


class LaplacianDiscriminator(nn.Module):
    """One discriminator a level: what is to be judged -> logits (N,), positive means real.

    It knows the level by the size: the coarsest images (N, C, h, w), or a finer level's residuals with their coarse
    images, concatenated, (N, 2C, H_k, W_k). Of whole images (N, C, H, W) the logits of all levels are added: the
    density of an image is the product of its levels' (§3.1), so that this is the logarithm of the ratio that optimal
    discriminators know. With `features=True` also the last hidden layer of the finest level judged.

    The coarsest D is fully connected, two layers of 600; the others are two 5×5 convolutions of stride 2. ReLU, and
    dropout before the last layer.

    Args:
        data: the images' shape, any base · 2^n, grey or colour; the classes, for a conditional one.
        levels: n; as many as leave `smallest` pixels when null.
        smallest: least pixels of the coarsest image's shorter side.
        widths: units of the coarsest level's hidden layers.
        channels: of the other levels' convolutions.
        dropout: share of the last hidden layer that is left out in training.
        conditional: `concat` concatenates the class: to the coarsest pixels one-hot, else as a plane through a linear
            layer.
    """

    by_batch = False

    def __init__(
        self,
        data: DataInfo,
        levels: int | None = None,
        smallest: int = 8,
        widths: tuple[int, ...] = (600, 600),
        channels: int = 64,
        dropout: float = 0.5,
        conditional: Literal["none", "concat"] = "none",
    ) -> None:
        super().__init__()
        self.n_classes = known_classes(data, "laplacian_discriminator") if conditional == "concat" else 0
        self.levels, height, width = pyramid(data, levels, smallest)
        self.colours, self.base_height = data.channels, height
        sizes = [(height * 2**level, width * 2**level) for level in range(1, self.levels + 1)]
        pixels = data.channels * height * width
        self.each = nn.ModuleList(
            [
                DenseDiscriminator(pixels, widths, dropout, self.n_classes),
                *(LevelDiscriminator(2 * data.channels, size, channels, dropout, self.n_classes) for size in sizes),
            ]
        )
        self.n_features = int(self.each[-1].n_features)  # type: ignore[arg-type]

    def forward(
        self, images_NCHW: torch.Tensor, labels_N: torch.Tensor | None = None, features: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Logits (N,), and the features (N, F) when asked."""
        level = (images_NCHW.shape[2] // self.base_height).bit_length() - 1
        if level and images_NCHW.shape[1] == self.colours:
            coarsest, finer = laplacian(images_NCHW, level)
            judged = [self.judge(part, labels_N) for part in (coarsest, *(torch.cat(pair, dim=1) for pair in finer))]
            logits_N, features_NF = torch.stack([logits for logits, _ in judged]).sum(0), judged[-1][1]
        else:
            logits_N, features_NF = self.judge(images_NCHW, labels_N)
        return (logits_N, features_NF) if features else logits_N

    def judge(self, part_NCHW: torch.Tensor, labels_N: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and features of one level."""
        level = (part_NCHW.shape[2] // self.base_height).bit_length() - 1
        class_NK = one_hot(labels_N, self.n_classes) if self.n_classes else part_NCHW[:, :0, 0, 0]
        features_NF: torch.Tensor
        logits_N, features_NF = self.each[level](part_NCHW, class_NK)
        return logits_N, features_NF


class DenseDiscriminator(nn.Module):
    """D of the coarsest images: (N, C, H, W) and the class (N, K) -> logits (N,) and features (N, F).

    Args:
        pixels: C·H·W.
        widths: units of the hidden layers.
        dropout: after the last of them.
        classes: K.
    """

    def __init__(self, pixels: int, widths: tuple[int, ...], dropout: float, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        units = (pixels + classes, *widths)
        for inside, outside in zip(units, widths, strict=False):
            layers += [nn.Linear(inside, outside), nn.ReLU()]
        self.hidden = nn.Sequential(*layers, nn.Dropout(dropout))
        self.n_features = units[-1]
        self.head = nn.Linear(self.n_features, 1)

    def forward(self, images_NCHW: torch.Tensor, class_NK: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and features."""
        features_NF = self.hidden(torch.cat([images_NCHW.flatten(1), class_NK], dim=1))
        return self.head(features_NF)[:, 0], features_NF


class LevelDiscriminator(nn.Module):
    """D_k: a residual and its coarse image (N, 2C, H, W), and the class (N, K) -> logits (N,) and features (N, F).

    Args:
        planes: 2C.
        size: H and W.
        channels: of the convolutions.
        dropout: after the last of them.
        classes: K.
    """

    def __init__(self, planes: int, size: tuple[int, int], channels: int, dropout: float, classes: int) -> None:
        super().__init__()
        self.size = size
        self.class_plane = nn.Linear(classes, math.prod(size)) if classes else None
        self.hidden = nn.Sequential(
            nn.Conv2d(planes + bool(classes), channels, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(dropout),
        )
        self.n_features = channels * math.prod(math.ceil(math.ceil(side / 2) / 2) for side in size)
        self.head = nn.Linear(self.n_features, 1)

    def forward(self, part_NCHW: torch.Tensor, class_NK: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and features."""
        if self.class_plane is not None:
            plane_N1HW = self.class_plane(class_NK).view(-1, 1, *self.size).to(part_NCHW.dtype)
            part_NCHW = torch.cat([part_NCHW, plane_N1HW], dim=1)
        features_NF = self.hidden(part_NCHW)
        return self.head(features_NF)[:, 0], features_NF
