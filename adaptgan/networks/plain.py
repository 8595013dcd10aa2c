"""Fully connected networks of two players: for images in no order of pixels, and for points in the plane."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import nn

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError
from adaptgan.networks.labels import known_classes, one_hot

Activation = Literal["relu", "leaky_relu", "maxout"]
"""Of a hidden layer."""

Start = Literal["torch", "orthogonal"]
"""How weights start."""


class PlainGenerator(nn.Module):
    """z (N, Z) -> images (N, C, H, W) in [-1, 1]: fully connected layers with ReLU, tanh at the end.

    The sizes are those of Goodfellow 2014 on MNIST.

    Args:
        data: the images' shape, of any size; the classes, for a conditional one.
        widths: units of the hidden layers.
        noise: Z.
        bounded: end in tanh; else the layer's outputs are cut off at ±1, where no gradient comes back.
        dropout: share of each hidden layer's units left out in training (Mirza & Osindero 2014: a half).
        conditional: take the label in, one-hot, beside z.
        apart: units of a first layer that z and the label each have to themselves (Mirza: 200 and 1000); none: they are
            concatenated as they are.
        start: weights start uniform in ±1/√inputs, as torch's layers do, or `orthogonal`, times √2, with biases 0 (Saxe
            2014), which brings a spectrally normalized network to full strength at once.
    """

    def __init__(
        self,
        data: DataInfo,
        widths: tuple[int, ...] = (1200, 1200),
        noise: int = 100,
        bounded: bool = True,
        dropout: float = 0.0,
        conditional: bool = False,
        apart: tuple[int, int] | None = None,
        start: Start = "torch",
    ) -> None:
        super().__init__()
        self.n_noise, self.conditional, self.bounded = noise, conditional, bounded
        self.shape = (data.channels, data.height, data.width)
        classes = known_classes(data, "plain_generator") if conditional else 0
        self.join = Joined(noise, classes, apart, "relu")
        layers: list[nn.Module] = []
        for inside, outside in zip((self.join.outputs, *widths), widths, strict=False):
            layers += [Layer(inside, outside, "relu"), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear((self.join.outputs, *widths)[-1], math.prod(self.shape)))
        begin(self, start)

    def forward(self, z_NZ: torch.Tensor, labels_N: torch.Tensor | None = None) -> torch.Tensor:
        """Images of the latents, and of the classes if it is conditional."""
        pixels_NP: torch.Tensor = self.layers(self.join(z_NZ, labels_N)).float()
        return (pixels_NP.tanh() if self.bounded else pixels_NP.clamp(-1, 1)).view(-1, *self.shape)


class PlainDiscriminator(nn.Module):
    """Images (N, C, H, W) -> logits (N,), positive means real; with `features=True` also the last hidden layer (N, F).

    Maxout and dropout, as Goodfellow 2014 had on MNIST; the shares left out are those of the authors' code.

    Args:
        data: the images' shape, of any size; the classes, for a conditional one.
        widths: units of the hidden layers; F is the last.
        activation: `relu`, `leaky_relu` (0.2), or `maxout`, the largest of `pieces` linear functions.
        pieces: of maxout.
        input_dropout: share of the pixels left out in training.
        dropout: share of each hidden layer's units left out in training.
        conditional: `concat` takes the label in, one-hot, beside the pixels.
        apart: units of a first layer that pixels and label each have to themselves (Mirza & Osindero 2014: 240 and 50);
            none: they are concatenated as they are.
        scale: what pixels are multiplied by: how finely it can tell values apart.
        gain: what the last layer's outputs are multiplied by. A bound on the layers' slopes (spectral normalization) is
            one of scale · gain on the whole; WGAN-GP's 1 on the whole is 1/(scale · gain) on them.
        start: weights start uniform in ±1/√inputs, as torch's layers do, or `orthogonal`, times √2, with biases 0 (Saxe
            2014), which brings a spectrally normalized network to full strength at once.
    """

    by_batch = False

    def __init__(
        self,
        data: DataInfo,
        widths: tuple[int, ...] = (240, 240),
        activation: Activation = "maxout",
        pieces: int = 5,
        input_dropout: float = 0.2,
        dropout: float = 0.5,
        conditional: Literal["none", "concat"] = "none",
        apart: tuple[int, int] | None = None,
        scale: float = 1.0,
        gain: float = 1.0,
        start: Start = "torch",
    ) -> None:
        super().__init__()
        self.scale, self.gain = scale, gain
        classes = known_classes(data, "plain_discriminator") if conditional == "concat" else 0
        self.input_dropout = nn.Dropout(input_dropout)
        self.join = Joined(data.channels * data.height * data.width, classes, apart, activation, pieces)
        sizes = (self.join.outputs, *widths)
        layers: list[nn.Module] = []
        for index, (inside, outside) in enumerate(zip(sizes, widths, strict=False)):
            # What `input_dropout` thinned out is not thinned out again, unless it went through layers of its own.
            layers += [nn.Dropout(dropout)] if index or self.join.apart else []
            layers.append(Layer(inside, outside, activation, pieces))
        self.layers = nn.Sequential(*layers)
        self.n_features = sizes[-1]
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(self.n_features, 1))
        begin(self, start)

    def forward(
        self, images_NCHW: torch.Tensor, labels_N: torch.Tensor | None = None, features: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Logits (N,), and the features (N, F) when asked."""
        pixels_NP = self.input_dropout(self.scale * images_NCHW.flatten(1))
        features_NF = self.layers(self.join(pixels_NP, labels_N))
        logits_N: torch.Tensor = self.gain * self.head(features_NF)[:, 0]
        return (logits_N, features_NF) if features else logits_N


class Joined(nn.Module):
    """What comes in and its label, concatenated: (N, inputs), (N,) -> (N, `outputs`). Without classes, only the first.

    Args:
        inputs: how many.
        classes: K; 0 for no labels.
        apart: units of a layer for each before they are joined.
        activation: of those layers.
        pieces: of maxout.

    Raises:
        ParamsError: two layers without a label.
    """

    def __init__(
        self, inputs: int, classes: int, apart: tuple[int, int] | None, activation: Activation, pieces: int = 1
    ) -> None:
        super().__init__()
        if apart and not classes:
            raise ParamsError(f"apart {apart}: there is no label to keep apart; make the network conditional.")
        self.classes, self.apart = classes, apart is not None
        first, second = apart or (inputs, classes)
        self.inputs = Layer(inputs, first, activation, pieces) if apart else nn.Identity()
        self.labels = Layer(classes, second, activation, pieces) if apart else nn.Identity()
        self.outputs = first + second

    def forward(self, x_NI: torch.Tensor, labels_N: torch.Tensor | None) -> torch.Tensor:
        """Both, side by side."""
        if not self.classes:
            return x_NI
        return torch.cat([self.inputs(x_NI), self.labels(one_hot(labels_N, self.classes).to(x_NI.dtype))], dim=1)


class Layer(nn.Module):
    """A linear layer and its activation. (N, inputs) -> (N, outputs).

    Args:
        inputs: how many.
        outputs: how many.
        activation: `maxout` is max over j of w_j·x + b_j (Goodfellow 2013).
        pieces: how many j.
    """

    def __init__(self, inputs: int, outputs: int, activation: Activation, pieces: int = 1) -> None:
        super().__init__()
        self.pieces = pieces if activation == "maxout" else 1
        self.linear = nn.Linear(inputs, outputs * self.pieces)
        self.activation = {"relu": nn.ReLU(), "leaky_relu": nn.LeakyReLU(0.2), "maxout": nn.Identity()}[activation]

    def forward(self, x_NI: torch.Tensor) -> torch.Tensor:
        """Its outputs."""
        y_NO = self.linear(x_NI)
        if self.pieces > 1:
            y_NO = y_NO.unflatten(1, (-1, self.pieces)).amax(2)
        activated: torch.Tensor = self.activation(y_NO)
        return activated


def begin(network: nn.Module, start: Start) -> None:
    """Set a network's linear layers to how they are to start."""
    if start == "orthogonal":
        for module in network.modules():
            if isinstance(module, nn.Linear):
                nn.init.orthogonal_(module.weight, math.sqrt(2))
                nn.init.zeros_(module.bias)
