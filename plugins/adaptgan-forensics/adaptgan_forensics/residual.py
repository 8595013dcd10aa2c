"""High-pass filters that are learned: what is left of a pixel when its neighbours have predicted it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.errors import ParamsError


class ConstrainedConv(nn.Module):
    """Prediction errors: (N, C, H, W) -> (N, filters, H, W), a convolution whose every kernel w is held to

        w(0, 0) = −1,  Σ_{(i, j) ≠ (0, 0)} w(i, j) = 1    for each filter and channel (Bayar & Stamm 2016, eq. 2)

    so that a flat region gives 0 and content gives way to traces. The paper scales the other weights to sum to 1 after
    each step, which fails where they sum to 0; here free weights are projected onto the constraint, orthogonally, in
    each forward. Edges are replicated.

    Args:
        channels: C.
        filters: residual maps.
        kernel: height and width, odd.

    Raises:
        ParamsError: it is even, and has no centre.
    """

    def __init__(self, channels: int, filters: int = 8, kernel: int = 5) -> None:
        super().__init__()
        if kernel % 2 == 0 or kernel < 3:
            raise ParamsError(f"kernel: a constrained filter has a centre: 3, 5, 7, …; found {kernel}.")
        self.kernel = kernel
        self.free = nn.Parameter(torch.randn(filters, channels, kernel * kernel - 1) / kernel)

    def weights(self) -> torch.Tensor:
        """The constrained kernels, (filters, C, kernel, kernel)."""
        others = self.free + (1 - self.free.sum(2, keepdim=True)) / self.free.shape[2]
        middle = others.shape[2] // 2
        centre = others.new_full((*others.shape[:2], 1), -1.0)
        whole = torch.cat([others[..., :middle], centre, others[..., middle:]], 2)
        return whole.view(*whole.shape[:2], self.kernel, self.kernel)

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """The residuals, in float32."""
        # bfloat16 has fewer bits than a pixel: the traces would be rounded away before they are seen.
        with torch.autocast(images_NCHW.device.type, enabled=False):
            padded_NCHW = F.pad(images_NCHW.float(), (self.kernel // 2,) * 4, mode="replicate")
            residuals_NCHW: torch.Tensor = F.conv2d(padded_NCHW, self.weights().float())
            return residuals_NCHW
