"""A small convolutional classifier."""

from __future__ import annotations

import torch
from torch import nn

from adaptgan.datainfo import DataInfo


class ConvClassifier(nn.Module):
    """Stages of convolution, BatchNorm, 2×2 max-pooling and ReLU, then one hidden layer.

    (N, C, H, W) in [-1, 1] -> logits (N, K), or D values; with `features=True` also the hidden layer (N, F).

    Args:
        data: shape and classes.
        widths: channels of each stage; a stage halves the image.
        hidden: F, units of the hidden layer, the features.
        dropout: share of features dropped before the last layer in training.
        grid: the last map is pooled to grid × grid, so that any image size fits.
    """

    def __init__(
        self,
        data: DataInfo,
        widths: tuple[int, ...] = (32, 64, 128),
        hidden: int = 128,
        dropout: float = 0.3,
        grid: int = 4,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = data.channels
        for stage, width in enumerate(widths):
            kernel = 5 if stage == 0 else 3
            layers += [
                nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(width),
                nn.MaxPool2d(2),
                nn.ReLU(),  # after the pooling, which it commutes with: a quarter of the work
            ]
            channels = width
        self.stages = nn.Sequential(*layers)
        last = (data.height >> len(widths), data.width >> len(widths))
        self.pool = nn.Identity() if last == (grid, grid) else nn.AdaptiveAvgPool2d(grid)
        self.hidden = nn.Sequential(
            nn.Flatten(), nn.Linear(channels * grid * grid, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, data.n_outputs)
        self.n_features = hidden

    def forward(
        self, images_NCHW: torch.Tensor, features: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Logits (N, K), and the features (N, F) when asked."""
        features_NF: torch.Tensor = self.hidden(self.pool(self.stages(images_NCHW)))
        logits_NK: torch.Tensor = self.head(self.dropout(features_NF))
        return (logits_NK, features_NF) if features else logits_NK
