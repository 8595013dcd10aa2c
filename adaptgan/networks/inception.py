"""Inception-v3 (Szegedy 2016) in its two layouts: torchvision's, and that of the network that defines the FID.

The FID's network is TensorFlow's of 2015. Its parts have torchvision's names, and it differs in three things: its
average pools leave the padding out of the mean, its last block pools the maximum, and it has 1,008 classes.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import inception

FID_CLASSES = 1008
FEATURES = 2048
SIZE = 299
"""Both layouts read images of 299×299."""


def inception_v3(n_classes: int) -> nn.Module:
    """The network, whose layout the number of classes tells: 1,008 is the FID's, any other torchvision's.

    Its weights are random until somebody loads some. It has no auxiliary head.
    """
    blocks = [
        inception.BasicConv2d,
        inception.InceptionA,
        inception.InceptionB,
        inception.InceptionC,
        inception.InceptionD,
        inception.InceptionE,
        inception.InceptionAux,
    ]
    if n_classes == FID_CLASSES:
        blocks[1], blocks[3], blocks[5] = FidA, FidC, FidE
    network: nn.Module = inception.Inception3(
        n_classes, aux_logits=False, transform_input=False, inception_blocks=blocks, init_weights=False
    )
    if n_classes == FID_CLASSES:
        network.Mixed_7c = FidLastE(2048)
    network.fc = LinearAndInput(FEATURES, n_classes)
    return network


def logits_and_features(network: nn.Module, images_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (N, K), and features (N, 2048), the mean over places before the last layer.

    Args:
        network: what `inception_v3` gives, in eval mode.
        images_NCHW: colour, 299×299, in [-1, 1].
    """
    both = network(images_NCHW)
    return both[:, :-FEATURES], both[:, -FEATURES:]


class LinearAndInput(nn.Linear):
    """A last layer that hands on what it was given, behind what it made of it."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(N, F) to (N, K + F)."""
        return torch.cat([super().forward(input), input], 1)


def resize_as_tensorflow(images_NCHW: torch.Tensor, size: int) -> torch.Tensor:
    """Bilinear resizing as TensorFlow 1 did it, which the FID's network was used with: pixel i reads from i·scale.

    Other libraries read from (i + ½)·scale − ½; their images are shifted against these by up to half a pixel of the
    smaller one, which moves the FID (Parmar 2022).
    """
    for dimension in (2, 3):
        length = images_NCHW.shape[dimension]
        places = torch.arange(size, device=images_NCHW.device, dtype=torch.float32) * (length / size)
        low = places.long()
        share = (places - low).view([-1 if d == dimension else 1 for d in range(4)])
        first = images_NCHW.index_select(dimension, low)
        second = images_NCHW.index_select(dimension, (low + 1).clamp(max=length - 1))
        images_NCHW = first + (second - first) * share
    return images_NCHW


def _mean_pool(x_NCHW: torch.Tensor) -> torch.Tensor:
    """3×3 means of what is inside the image."""
    return F.avg_pool2d(x_NCHW, 3, stride=1, padding=1, count_include_pad=False)


class FidA(inception.InceptionA):
    """The 35×35 block, with means of the image alone."""

    def _forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [
            self.branch1x1(x),
            self.branch5x5_2(self.branch5x5_1(x)),
            self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
            self.branch_pool(_mean_pool(x)),
        ]


class FidC(inception.InceptionC):
    """The 17×17 block, with means of the image alone."""

    def _forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        double = self.branch7x7dbl_2(self.branch7x7dbl_1(x))
        return [
            self.branch1x1(x),
            self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x))),
            self.branch7x7dbl_5(self.branch7x7dbl_4(self.branch7x7dbl_3(double))),
            self.branch_pool(_mean_pool(x)),
        ]


class FidE(inception.InceptionE):
    """The 8×8 block, with means of the image alone."""

    def pool(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to the same."""
        return _mean_pool(x)

    def _forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        return [
            self.branch1x1(x),
            torch.cat([self.branch3x3_2a(single), self.branch3x3_2b(single)], 1),
            torch.cat([self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)], 1),
            self.branch_pool(self.pool(x)),
        ]


class FidLastE(FidE):
    """The last of them, which pools the maximum: a slip of the original that its weights were learned with."""

    def pool(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to the same."""
        return F.max_pool2d(x, 3, stride=1, padding=1)
