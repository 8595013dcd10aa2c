"""A classifier taken apart: what computes its features, and the layer that decides."""

from __future__ import annotations

import copy

import torch
from torch import nn

from adaptgan.errors import ParamsError


def take_head(network: nn.Module) -> nn.Module:
    """The last layer of a classifier; in its place the network passes on what the layer was given.

    Raises:
        ParamsError: the network has no layer called `head`.
    """
    head = getattr(network, "head", None)
    if not isinstance(head, nn.Module):
        raise ParamsError(
            f"the network {type(network).__name__} has no layer called `head`, which this method trains apart from the "
            "rest. Take a network that ends in one, such as conv_classifier, or call your own last layer `head`."
        )
    network.head = nn.Identity()
    return head


def fresh_copy(head: nn.Module) -> nn.Module:
    """The same layers with weights drawn anew.

    Raises:
        ParamsError: its layers have no `reset_parameters`, which would leave two equal heads.
    """
    other = copy.deepcopy(head)
    for layer in other.modules():
        if callable(reset := getattr(layer, "reset_parameters", None)):
            reset()
    if all(torch.equal(p, q) for p, q in zip(head.parameters(), other.parameters(), strict=True)):
        raise ParamsError(
            f"the last layer of this network, {type(head).__name__}, has no `reset_parameters`, so that a second head "
            "would start as the first one's double. Give the layer that method, or take a network that ends in a "
            "Linear, such as conv_classifier."
        )
    return other


class Assembled(nn.Module):
    """An encoder and heads put together again: images -> the heads' mean output.

    Args:
        encoder: a network without its head.
        heads: what decides; the outputs of several are averaged.
    """

    def __init__(self, encoder: nn.Module, *heads: nn.Module) -> None:
        super().__init__()
        self.encoder, self.heads = encoder, nn.ModuleList(heads)

    def forward(
        self, images_NCHW: torch.Tensor, features: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Outputs (N, K), and the features (N, F) when asked."""
        before_head, features_NF = self.encoder(images_NCHW, features=True)
        outputs = torch.stack([head(before_head) for head in self.heads]).mean(0)
        return (outputs, features_NF) if features else outputs
