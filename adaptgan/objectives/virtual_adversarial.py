"""Virtual adversarial training: predictions must not change where a small step would change them most (Miyato 2018).

Functions of `network`, a callable from images to logits (N, K). It should give the same result for the same images:
see `noiseless`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from adaptgan.networks.layers import frozen_statistics

Logits = Callable[[torch.Tensor], torch.Tensor]


def kl_divergence(p_logits_NK: torch.Tensor, q_logits_NK: torch.Tensor) -> torch.Tensor:
    """KL(p‖q) of the softmax of two sets of logits, (N,), in nats, float32 at least."""
    log_p_NK, log_q_NK = _wide(p_logits_NK).log_softmax(1), _wide(q_logits_NK).log_softmax(1)
    return (log_p_NK.exp() * (log_p_NK - log_q_NK)).sum(1)


def virtual_adversarial_direction(
    network: Logits, images_NCHW: torch.Tensor, logits_NK: torch.Tensor, xi: float = 0.1, iterations: int = 1
) -> torch.Tensor:
    """Unit vectors along which KL(p(x)‖p(x + r)) grows fastest, by power iteration (Miyato 2018, §3.3).

    At r = 0 the divergence and its gradient vanish, so the direction is the top eigenvector of its Hessian H. From a
    random d, d ← ∇_r KL at r = ξd, which is ξHd but for terms of order ξ², scaled to length 1.

    It computes in float32 at least, whatever autocast says. The paper's ξ of 1e-6 spreads over an image's pixels to
    changes below float32's resolution around 1; at 0.1 the gradient is well above rounding and still linear in ξ.

    Args:
        network: images -> logits.
        images_NCHW: x, in [-1, 1].
        logits_NK: network(x), of which no gradient is taken.
        xi: ξ, the length at which the gradient is taken.
        iterations: of the power method; the paper has 1.

    Returns:
        Like the images; zeros where the prediction does not change at all.
    """
    with torch.autocast(images_NCHW.device.type, enabled=False), torch.enable_grad():
        images_NCHW, logits_NK = _wide(images_NCHW).detach(), logits_NK.detach()
        d_NCHW = _unit(torch.randn_like(images_NCHW))
        for _ in range(iterations):
            r_NCHW = (xi * d_NCHW).requires_grad_()
            divergence = kl_divergence(logits_NK, network(images_NCHW + r_NCHW)).sum()
            (gradient_NCHW,) = torch.autograd.grad(divergence, r_NCHW)
            d_NCHW = _unit(gradient_NCHW)
        return d_NCHW


def virtual_adversarial_loss(
    network: Logits,
    images_NCHW: torch.Tensor,
    epsilon: float,
    xi: float = 0.1,
    iterations: int = 1,
    probe: Logits | None = None,
) -> torch.Tensor:
    """Mean KL(p(x)‖p(x + ε d)), d the virtual adversarial direction (Miyato 2018).

    Gradients flow through p(x + ε d) alone; p(x) and d are constants, as in the paper.

    Args:
        network: images -> logits.
        images_NCHW: x, in [-1, 1]; x + ε d may leave that range.
        epsilon: ε, the 2-norm of the step over a whole image.
        xi: see `virtual_adversarial_direction`.
        iterations: see `virtual_adversarial_direction`.
        probe: the same function for the search of d, where the network is wrapped in something that refuses gradients
            of its inputs or would exchange those of its weights.
    """
    probe = probe or network
    with torch.autocast(images_NCHW.device.type, enabled=False), torch.no_grad():
        logits_NK = probe(_wide(images_NCHW))
    d_NCHW = virtual_adversarial_direction(probe, images_NCHW, logits_NK, xi, iterations)
    logits_there_NK = network(images_NCHW + epsilon * d_NCHW)
    return kl_divergence(logits_NK, logits_there_NK).mean()


@contextmanager
def noiseless(network: nn.Module) -> Iterator[None]:
    """A network in training that repeats itself: inside, nothing is dropped and no noise added.

    BatchNorm goes on normalizing by the batch, as where the network is trained, but its running statistics, which
    should only know real images, stay as they are.
    """
    noisy = [m for m in network.modules() if m.training and not isinstance(m, nn.modules.batchnorm._BatchNorm)]
    with frozen_statistics(network):
        try:
            for module in noisy:
                module.training = False
            yield
        finally:
            for module in noisy:
                module.training = True


def _unit(x_NCHW: torch.Tensor) -> torch.Tensor:
    """Each image's tensor scaled to length 1; first by its largest entry, for its square may be too small to hold."""
    flat = x_NCHW.flatten(1)
    flat = flat / flat.abs().amax(1, keepdim=True).clamp_min(torch.finfo(flat.dtype).tiny)
    unit: torch.Tensor = flat / flat.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return unit.view_as(x_NCHW)


def _wide(x: torch.Tensor) -> torch.Tensor:
    return x if x.dtype == torch.float64 else x.float()
