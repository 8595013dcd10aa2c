"""What a penalty is: a regularizer of a discriminator, by an added loss, by its weights, or by how it is built."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from lightning_fabric import is_wrapped
from torch import nn


class Penalty(nn.Module):
    """Base of `penalty` components. A subclass overrides what it needs of the three.

    What it remembers lies in buffers. `every` > 1 makes it lazy: the method gives it a phase of its own each n-th step,
    multiplies its terms by n and corrects Adam (Karras 2020, appendix B).

    Attributes:
        every: steps between two of its turns.
        differentiates_twice: whether `terms` differentiates through the network's own gradient, which a compiled
            network cannot.
    """

    every: int = 1
    differentiates_twice: bool = False

    @property
    def name(self) -> str:
        """What its phase and terms are called."""
        letters = type(self).__name__
        return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(letters))

    def prepare(self, network: nn.Module) -> None:
        """Once, before training: change how the network is built (spectral normalization)."""

    def terms(
        self,
        network: nn.Module,
        real_NCHW: torch.Tensor,
        fake_NCHW: torch.Tensor,
        labels_N: torch.Tensor | None = None,
        real_logits_N: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Named scalars to add to the network's loss.

        Args:
            network: D, as wrapped for training.
            real_NCHW: real images.
            fake_NCHW: as many generated ones, without a graph.
            labels_N: the classes of both, for a conditional D.
            real_logits_N: D's logits of the real images, where the method has them already.
        """
        return {}

    def constrain(self, network: nn.Module) -> None:
        """After each of the network's steps, without gradients (a weight clip)."""


def inside_forward(network: nn.Module, function: Callable[..., torch.Tensor], *inputs: Any) -> torch.Tensor:
    """`function(forward, *inputs)`, run as if it were the network's own forward.

    What differentiates a network's output before the backward pass must run inside its wrappers (precision, DDP):
    outside, mixed precision refuses it, and DDP would not exchange what comes of it. A compiled network runs as it was
    before it was compiled: what torch.compile makes cannot be differentiated twice.

    Args:
        network: plain, or wrapped any number of times.
        function: given the plain network's forward and the inputs.
        inputs: tensors, or None.
    """
    plain: Any = network.module if is_wrapped(network) else network
    plain = getattr(plain, "_orig_mod", plain)  # under torch.compile
    before = plain.__dict__.get("forward")

    def forward(*given: Any) -> torch.Tensor:
        restore()  # the function may call the network itself
        return function(plain, *given)

    def restore() -> None:
        if before is None:
            plain.__dict__.pop("forward", None)
        else:
            plain.__dict__["forward"] = before

    plain.__dict__["forward"] = forward
    try:
        with torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext():
            result: torch.Tensor = network(*inputs)
    finally:
        restore()
    return result
