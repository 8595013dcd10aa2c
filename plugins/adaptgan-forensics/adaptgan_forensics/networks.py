"""Networks that tell generated images from real ones; classifiers like any other, for the method `supervised`."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from adaptgan.datainfo import DataInfo
from adaptgan_forensics.residual import ConstrainedConv
from adaptgan_forensics.spectrum import log_spectrum, n_rings


class SpectralDetector(nn.Module):
    """Logits from the log azimuthal spectrum alone (Durall 2020, §3.3; Dzanic 2020).

    (N, C, H, W) in [-1, 1] -> log S (N, C·R), standardized by running statistics -> logits (N, K); with `features=True`
    also what the last layer sees.

    Args:
        data: shape and classes.
        hidden: units of a hidden layer; 0: none, a logistic regression.
        window: Hann's window before the Fourier transform.
    """

    def __init__(self, data: DataInfo, hidden: Annotated[int, Field(ge=0)] = 0, window: bool = True) -> None:
        super().__init__()
        self.window = window
        spectrum = data.channels * n_rings(data.height, data.width)
        self.standardize = nn.BatchNorm1d(spectrum, affine=False)
        self.hidden = nn.Sequential(nn.Linear(spectrum, hidden), nn.ReLU()) if hidden else nn.Identity()
        self.n_features = hidden or spectrum
        self.head = nn.Linear(self.n_features, data.n_outputs)

    def forward(
        self, images_NCHW: torch.Tensor, features: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Logits (N, K), and the features (N, F) when asked."""
        features_NF: torch.Tensor = self.hidden(self.standardize(log_spectrum(images_NCHW, self.window)))
        logits_NK: torch.Tensor = self.head(features_NF)
        return (logits_NK, features_NF) if features else logits_NK


class ForensicCNN(nn.Module):
    """Logits from prediction errors of pixels and, beside them, from the spectrum.

    (N, C, H, W) in [-1, 1] -> residuals of `filters` constrained convolutions (Bayar & Stamm 2016), standardized ->
    positive and negative parts (CReLU, Shang 2016) -> stages of convolution, BatchNorm and ReLU -> mean over the image;
    joined by a layer over the log azimuthal spectrum (Durall 2020) -> logits (N, K). Any image size fits. With
    `features=True` also the joined features (N, F).

    Args:
        data: shape and classes.
        filters: constrained high-pass filters.
        kernel: their height and width, odd.
        widths: channels of each stage; every one but the second halves the image.
        spectral: units of the layer over the spectrum; 0: the spectrum is left out.
        dropout: share of features dropped before the last layer in training.
    """

    def __init__(
        self,
        data: DataInfo,
        filters: Annotated[int, Field(ge=1)] = 8,
        kernel: Annotated[int, Field(ge=3)] = 5,
        widths: tuple[int, ...] = (24, 32, 48),
        spectral: Annotated[int, Field(ge=0)] = 16,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.residual = ConstrainedConv(data.channels, filters, kernel)
        # Residuals are as small as the traces that they show: without a scale the first layer would hardly learn.
        layers: list[nn.Module] = [nn.BatchNorm2d(filters, affine=False), CReLU()]
        channels = 2 * filters
        for stage, width in enumerate(widths):
            stride = 1 if stage == 1 else 2
            layers += [
                nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
            channels = width
        self.stages = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        rings = data.channels * n_rings(data.height, data.width)
        self.spectrum = (
            nn.Sequential(nn.BatchNorm1d(rings, affine=False), nn.Linear(rings, spectral), nn.ReLU())
            if spectral
            else None
        )
        self.n_features = channels + spectral
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.n_features, data.n_outputs)

    def forward(
        self, images_NCHW: torch.Tensor, features: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Logits (N, K), and the features (N, F) when asked."""
        features_NF: torch.Tensor = self.stages(self.residual(images_NCHW))
        if self.spectrum is not None:
            features_NF = torch.cat([features_NF, self.spectrum(log_spectrum(images_NCHW))], 1)
        logits_NK: torch.Tensor = self.head(self.dropout(features_NF))
        return (logits_NK, features_NF) if features else logits_NK


class CReLU(nn.Module):
    """(N, C, …) -> (N, 2C, …): max(x, 0) and max(−x, 0), so that errors of either sign count before any averaging."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Both parts."""
        return torch.cat([x.relu(), (-x).relu()], 1)
