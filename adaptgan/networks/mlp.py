"""Fully connected networks that see pixels in no order: a noisy, weight-normalized classifier and a generator."""

from __future__ import annotations

import math

import torch
from torch import distributed, nn
from torch.nn import functional as F

from adaptgan.datainfo import DataInfo


class MLPClassifier(nn.Module):
    """Weight-normalized layers with ReLU, and Gaussian noise before each of them in training.

    (N, C, H, W) in [-1, 1] -> logits (N, K); with `features=True` also the last hidden layer (N, F), without noise.
    The order of pixels means nothing to it. The sizes are those of the discriminator of Salimans et al. 2016 on MNIST;
    as there, pixels are brought to [0, 1] first, so that the noise has the paper's strength, and the scales of the
    hidden layers do not learn.

    With `data_init` the first training batch sets each layer's scale and bias so that its outputs have mean 0 and
    variance 1 (Salimans & Kingma 2016, eq. 5). The flag that this was done is a buffer: a resumed training does not
    do it again.

    Args:
        data: shape and classes.
        widths: units of the hidden layers; F is the last.
        input_noise: standard deviation of the noise on the pixels.
        hidden_noise: standard deviation of the noise on each hidden layer.
        learn_scales: let the hidden layers' scales learn, too; the last layer's always do.
        data_init: scale the layers by the first training batch.
    """

    initialized: torch.Tensor

    def __init__(
        self,
        data: DataInfo,
        widths: tuple[int, ...] = (1000, 500, 250, 250, 250),
        input_noise: float = 0.3,
        hidden_noise: float = 0.5,
        learn_scales: bool = False,
        data_init: bool = True,
    ) -> None:
        super().__init__()
        sizes = (data.channels * data.height * data.width, *widths)
        self.hidden = nn.ModuleList(NormalizedLinear(n, m, learn_scales) for n, m in zip(sizes, widths, strict=False))
        self.head = NormalizedLinear(sizes[-1], data.n_outputs)
        self.input_noise, self.hidden_noise = input_noise, hidden_noise
        self.n_features = sizes[-1]
        self.register_buffer("initialized", torch.tensor(not data_init))
        self._ready = False  # what `initialized` said when last read, so that not every step waits for a device

    def forward(
        self, images_NCHW: torch.Tensor, features: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Logits (N, K), and the features (N, F) when asked."""
        fit = self.training and not self._ready and not bool(self.initialized)
        x_NF = (images_NCHW.flatten(1) + 1) / 2
        noise = self.input_noise
        for layer in self.hidden:
            x_NF = self._layer(layer, x_NF, noise, fit).relu()
            noise = self.hidden_noise
        logits_NK = self._layer(self.head, x_NF, noise, fit)
        if self.training and not self._ready:
            self.initialized.fill_(True)
            self._ready = True
        return (logits_NK, x_NF) if features else logits_NK

    def _layer(self, layer: nn.Module, x_NF: torch.Tensor, noise: float, fit: bool) -> torch.Tensor:
        if self.training and noise:
            x_NF = torch.add(x_NF, torch.randn_like(x_NF), alpha=noise)
        if fit and isinstance(layer, NormalizedLinear):  # a method may have taken the head away
            layer.fit(x_NF)
        y_NF: torch.Tensor = layer(x_NF)
        return y_NF


class MLPGenerator(nn.Module):
    """Noise (N, Z), uniform in [0, 1), -> images (N, C, H, W) in [-1, 1]. BatchNorm, softplus, a sigmoid at the end.

    The sizes are those of the generator of Salimans et al. 2016 on MNIST.

    Args:
        data: the images' shape.
        widths: units of the hidden layers.
        noise: Z.
    """

    def __init__(self, data: DataInfo, widths: tuple[int, ...] = (500, 500), noise: int = 100) -> None:
        super().__init__()
        self.shape = (data.channels, data.height, data.width)
        self.n_noise = noise
        sizes = (noise, *widths)
        layers: list[nn.Module] = []
        for n, m in zip(sizes, widths, strict=False):
            layers += [nn.Linear(n, m, bias=False), nn.BatchNorm1d(m), nn.Softplus()]
        self.hidden = nn.Sequential(*layers)
        self.head = NormalizedLinear(sizes[-1], math.prod(self.shape))

    def forward(self, noise_NZ: torch.Tensor) -> torch.Tensor:
        """Images of the given noise."""
        pixels_NP: torch.Tensor = self.head(self.hidden(noise_NZ)).sigmoid()
        return 2 * pixels_NP.view(-1, *self.shape) - 1


class NormalizedLinear(nn.Module):
    """y = g · (v x) / ‖v‖ + b, per output (Salimans & Kingma 2016, eq. 2). (N, inputs) -> (N, outputs).

    The outputs are scaled, not the weights: that spares a copy of them. `torch.nn.utils.parametrizations.weight_norm`
    computes the same, but its g always learns. The length of v changes no output, only how far a step of Adam turns v:
    entries start with a standard deviation of 0.1, as in the authors' code.

    Args:
        inputs: how many.
        outputs: how many.
        learn_scale: whether g is a parameter or a buffer.
    """

    scale: torch.Tensor

    def __init__(self, inputs: int, outputs: int, learn_scale: bool = True) -> None:
        super().__init__()
        self.direction = nn.Parameter(0.1 * torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        if learn_scale:
            self.scale = nn.Parameter(torch.ones(outputs))
        else:
            self.register_buffer("scale", torch.ones(outputs))

    def forward(self, x_NI: torch.Tensor) -> torch.Tensor:
        """The layer's outputs."""
        factor_O = self.scale / torch.linalg.vector_norm(self.direction, dim=1)
        y_NO: torch.Tensor = torch.addcmul(self.bias, F.linear(x_NI, self.direction), factor_O)
        return y_NO

    @torch.no_grad()
    def fit(self, x_NI: torch.Tensor) -> None:
        """Set scale and bias so that over this batch, all ranks' taken together, outputs have mean 0 and variance 1."""
        y_NO = self(x_NI).float()
        moments = torch.stack([y_NO.mean(0), y_NO.square().mean(0)])
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(moments)
            moments /= distributed.get_world_size()
        mean_O, square_O = moments
        factor_O = (square_O - mean_O.square()).clamp_min(1e-8).rsqrt()
        self.scale.mul_(factor_O)
        self.bias.copy_((self.bias - mean_O) * factor_O)
