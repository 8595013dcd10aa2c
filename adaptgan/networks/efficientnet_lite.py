"""EfficientNet-Lite0 (Liu 2020, after Tan & Le 2019), laid out as the published ImageNet weights name its parts."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

STAGES = (
    # kernel, stride, expansion, width, blocks
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
"""Tan & Le 2019, table 1. "Lite": ReLU6 in place of swish, and no squeeze-and-excitation."""

STEM, HEAD = 32, 1280


class EfficientNetLite0(nn.Module):
    """4.65 million weights. Images of 224×224 with 1,000 classes in mind; any size above 32 works.

    Args:
        n_classes: rows of the last layer.
    """

    def __init__(self, n_classes: int = 1000) -> None:
        super().__init__()
        self.conv_stem = SameConv(3, STEM, 3, stride=2)
        self.bn0 = _norm(STEM)
        self.blocks = nn.ModuleList()
        width = STEM
        for kernel, stride, expansion, wider, blocks in STAGES:
            for block in range(blocks):
                self.blocks.append(InvertedResidual(width, wider, kernel, stride if block == 0 else 1, expansion))
                width = wider
        self.conv_head = SameConv(width, HEAD, 1)
        self.bn1 = _norm(HEAD)
        self.fc = nn.Linear(HEAD, n_classes)

    def forward(self, images_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Colour images in [-1, 1] to logits (N, K) and features (N, 1280), the mean over places before the logits."""
        x = F.relu6(self.bn0(self.conv_stem(images_NCHW)))
        for block in self.blocks:
            x = block(x)
        features_NF = F.relu6(self.bn1(self.conv_head(x))).mean((2, 3))
        return self.fc(features_NF), features_NF


class InvertedResidual(nn.Module):
    """1×1 to a wider space, a depthwise filter there, 1×1 back without a nonlinearity (Sandler 2018)."""

    def __init__(self, width: int, wider: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = width * expansion
        self.expands, self.residual = expansion > 1, stride == 1 and width == wider
        if self.expands:
            self.expand_conv, self.bn0 = SameConv(width, inner, 1), _norm(inner)
        self.depthwise_conv, self.bn1 = SameConv(inner, inner, kernel, stride=stride, groups=inner), _norm(inner)
        self.project_conv, self.bn2 = SameConv(inner, wider, 1), _norm(wider)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C', H / stride, W / stride)."""
        x = F.relu6(self.bn0(self.expand_conv(x_NCHW))) if self.expands else x_NCHW
        x = F.relu6(self.bn1(self.depthwise_conv(x)))
        x = self.bn2(self.project_conv(x))
        y_NCHW: torch.Tensor = x + x_NCHW if self.residual else x
        return y_NCHW


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME" pads: with stride 2 one more row below and right than above.

    The weights were learned with that padding; the symmetric one would shift what they see by a pixel at each scale.
    """

    def __init__(self, width: int, wider: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(width, wider, kernel, stride=stride, groups=groups, bias=False)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C', ⌈H / stride⌉, ⌈W / stride⌉)."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        padding = []
        for length in (input.shape[3], input.shape[2]):
            missing = max(0, (math.ceil(length / stride) - 1) * stride + kernel - length)
            padding += [missing // 2, missing - missing // 2]
        return super().forward(F.pad(input, padding))


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)
