"""Resampling through a small low-pass filter, in pure torch: what upfirdn2d does for factors of 1 and 2."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from adaptgan.networks.equalized import EqualizedConv2d


class FIR(nn.Module):
    """A separable filter of an even number of taps, which sum to 1; zeros lie around the image (Zhang 2019).

    Args:
        taps: of one axis; [1, 3, 3, 1], bilinear, is StyleGAN's (Karras 2019, §2; Karras 2020, appendix B).
    """

    kernel: torch.Tensor

    def __init__(self, taps: Sequence[float] = (1, 3, 3, 1)) -> None:
        super().__init__()
        line = torch.tensor(taps, dtype=torch.float32)
        line /= line.sum()
        self.taps = len(taps)
        self.register_buffer("kernel", (line[:, None] * line)[None, None], persistent=False)

    def up(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Twice the size: zeros between the pixels, then the filter with a gain of 4. (N, C, 2H, 2W)."""
        return self._resampled(
            x_NCHW, lambda x, k: F.conv_transpose2d(x, 4 * k, None, 2, self.taps // 2 - 1, 0, len(k))
        )

    def down(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Half the size: the filter, then every second pixel. (N, C, H/2, W/2)."""
        return self._resampled(x_NCHW, lambda x, k: F.conv2d(x, k, None, 2, self.taps // 2 - 1, 1, len(k)))

    def blur(self, x_NCHW: torch.Tensor, padding: int, gain: float = 1.0) -> torch.Tensor:
        """The filter alone. (N, C, H + 2·padding − taps + 1, W + …).

        Args:
            x_NCHW: features.
            padding: zeros around them.
            gain: factor on the result.
        """
        kernel = (gain * self.kernel).to(x_NCHW.dtype).expand(x_NCHW.shape[1], -1, -1, -1)
        return F.conv2d(x_NCHW, kernel, None, 1, padding, 1, len(kernel))

    def _resampled(self, x_NCHW: torch.Tensor, function: Callable[..., torch.Tensor]) -> torch.Tensor:
        channels = x_NCHW.shape[1]
        # A transposed convolution of each channel by itself takes a CPU 30 times as long in bfloat16 as in float32.
        if x_NCHW.device.type != "cpu" or x_NCHW.dtype == torch.float64:
            return function(x_NCHW, self.kernel.to(x_NCHW.dtype).expand(channels, -1, -1, -1))
        with torch.autocast("cpu", enabled=False):
            return function(x_NCHW.float(), self.kernel.expand(channels, -1, -1, -1)).to(x_NCHW.dtype)


def convolved_up(x_NCHW: torch.Tensor, weight_OIkk: torch.Tensor, fir: FIR) -> torch.Tensor:
    """A transposed 3×3 convolution of stride 2, then the filter: a quarter of the cost of the filter first.

    The same map as `fir.up` and then a convolution by the mirrored weight, but for the border. (N, O, 2H, 2W).
    """
    return fir.blur(F.conv_transpose2d(x_NCHW, weight_OIkk.transpose(0, 1), stride=2), fir.taps // 2 - 1, gain=4)


class UpConv(EqualizedConv2d):
    """Doubles the size with a filtered, transposed 3×3 convolution. (N, inputs, H, W) -> (N, outputs, 2H, 2W).

    Args:
        inputs: channels.
        outputs: channels.
        gain: what the activation that follows needs.
    """

    def __init__(self, inputs: int, outputs: int, gain: float = 1.0) -> None:
        super().__init__(inputs, outputs, 3, bias=False, gain=gain)
        self.fir = FIR()

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """The layer's outputs."""
        return convolved_up(x_NCHW, self.weight * self.scale, self.fir)


class DownConv(EqualizedConv2d):
    """Halves the size with the filter and a 3×3 convolution of stride 2. (N, inputs, H, W) -> (N, outputs, H/2, W/2).

    Args:
        inputs: channels.
        outputs: channels.
        gain: what the activation that follows needs.
    """

    def __init__(self, inputs: int, outputs: int, gain: float = 1.0) -> None:
        super().__init__(inputs, outputs, 3, stride=2, padding=0, gain=gain)
        self.fir = FIR()

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """The layer's outputs."""
        return super().forward(self.fir.blur(x_NCHW, self.fir.taps // 2))
