"""The networks that domain separation adds to a classifier: private encoders and a shared decoder."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.datainfo import DataInfo


class PrivateEncoder(nn.Module):
    """What is peculiar to one domain: stages of convolution, BatchNorm, max-pooling and ReLU, then one hidden layer.

    (N, C, H, W) in [-1, 1] -> (N, F).

    Args:
        data: the images' shape.
        widths: channels of each stage; a stage halves the image.
        hidden: F; as many as the classifier's features, to which they are added.
        grid: the last map is pooled to grid × grid, so that any image size fits.
    """

    def __init__(self, data: DataInfo, widths: tuple[int, ...] = (32, 64), hidden: int = 128, grid: int = 4) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = data.channels
        for stage, width in enumerate(widths):
            kernel = 5 if stage == 0 else 3
            layers += [
                nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(width),
                nn.MaxPool2d(2, ceil_mode=True),
                nn.ReLU(),
            ]
            channels = width
        self.stages = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(grid))
        self.hidden = nn.Sequential(
            nn.Flatten(), nn.Linear(channels * grid * grid, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()
        )
        self.n_features = hidden

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """Private features, (N, F)."""
        features_NF: torch.Tensor = self.hidden(self.stages(images_NCHW))
        return features_NF


class SharedDecoder(nn.Module):
    """Draws an image of either domain from features: a small map, then convolutions on ever larger ones.

    (N, F) -> (N, C, H, W), unbounded: the last layer is linear, as the paper's.

    Args:
        data: the images' shape.
        hidden: F, as the encoders have.
        channels: of every convolution but the last.
        grid: the first map has at most this many rows and columns; each further one twice as many, up to the image.
    """

    def __init__(self, data: DataInfo, hidden: int = 128, channels: int = 16, grid: int = 8) -> None:
        super().__init__()
        sizes = [(data.height, data.width)]
        while max(sizes[0]) > grid:
            height, width = sizes[0]
            sizes.insert(0, ((height + 1) // 2, (width + 1) // 2))
        self.sizes, self.channels = sizes, channels
        self.start = nn.Linear(hidden, channels * sizes[0][0] * sizes[0][1])
        self.stages = nn.ModuleList([nn.Conv2d(channels, channels, 3, padding=1) for _ in sizes])
        self.out = nn.Conv2d(channels, data.channels, 3, padding=1)
        self.n_features = hidden

    def forward(self, features_NF: torch.Tensor) -> torch.Tensor:
        """Images."""
        x: torch.Tensor = self.start(features_NF).relu().unflatten(1, (self.channels, *self.sizes[0]))
        for size, stage in zip(self.sizes, self.stages, strict=True):
            if x.shape[2:] != size:
                x = F.interpolate(x, size)
            x = stage(x).relu()
        images_NCHW: torch.Tensor = self.out(x)
        return images_NCHW
