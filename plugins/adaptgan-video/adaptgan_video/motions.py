"""How joints swing: smooth functions of the frame's number."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Wave:
    """centre + Σ_i a_i sin(2π (f_i t + φ_i)), t the frame.

    Attributes:
        centre: what it swings around.
        parts: a_i, f_i in swings per frame, φ_i in swings.
    """

    centre: float
    parts: tuple[tuple[float, float, float], ...]

    def __call__(self, frame: float) -> float:
        """The value at a frame."""
        return self.centre + sum(a * math.sin(2 * math.pi * (f * frame + phase)) for a, f, phase in self.parts)


def wave(draw: np.random.Generator, centre: float, reach: float, speed: float) -> Wave:
    """Two sines of random phase that never leave [centre − reach, centre + reach].

    Args:
        draw: decides.
        centre: what it swings around.
        reach: the sum of both amplitudes.
        speed: swings per frame; each sine has between half and one and a half of it.
    """
    share = float(draw.uniform(0.5, 0.8))
    parts = tuple(
        (amplitude * reach, float(draw.uniform(0.5, 1.5)) * speed, float(draw.uniform()))
        for amplitude in (share, 1 - share)
    )
    return Wave(centre, parts)
