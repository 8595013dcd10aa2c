"""Counter-based random numbers: a pure function of (seed, view, counter), the same on every device and in any batch."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch

# SplitMix64 (Steele, Lea, Flood 2014): a Weyl sequence with this step, and a mixer of two multiplications.
_STEP = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
_63_BITS = (1 << 63) - 1


def uniform(seeds_N: torch.Tensor, view: int, n: int, stream: int = 0) -> torch.Tensor:
    """Uniform numbers in [0, 1), float32 (N, n).

    Args:
        seeds_N: int64, one per record.
        view: which of several independent draws for the same record (weak, strong, …).
        n: how many numbers for each record.
        stream: which of several independent uses inside one view.
    """
    bits_Nn = _bits(seeds_N, view, n, stream)
    return (_shifted(bits_Nn, 40)).to(torch.float32) * 2.0**-24


def normal(seeds_N: torch.Tensor, view: int, n: int, stream: int = 0) -> torch.Tensor:
    """Standard normal numbers, float32 (N, n), by Box and Muller's transform of two uniform ones."""
    half = (n + 1) // 2
    uniform_N2 = uniform(seeds_N, view, 2 * half, stream)
    # 1 - u lies in (0, 1]: the logarithm is finite.
    radius = (-2 * torch.log1p(-uniform_N2[:, :half])).sqrt()
    angle = 2 * math.pi * uniform_N2[:, half:]
    return torch.cat([radius * angle.cos(), radius * angle.sin()], 1)[:, :n]


def record_seeds(key: int, epochs_N: np.ndarray, indices_N: np.ndarray) -> np.ndarray:
    """63-bit seeds, int64 (N,): a hash of a stream's key, each record's epoch and its index."""
    with np.errstate(over="ignore"):
        start = mix64(np.uint64(key & (2**64 - 1)) + np.uint64(_STEP) * (epochs_N.astype(np.uint64) + np.uint64(1)))
        mixed = mix64(start + np.uint64(_STEP) * (indices_N.astype(np.uint64) + np.uint64(1)))
    return (mixed & np.uint64(_63_BITS)).astype(np.int64)


def stream_key(*parts: object) -> int:
    """A 128-bit key for a named stream of random numbers."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:16], "little")


def mix64(values: np.ndarray) -> np.ndarray:
    """SplitMix64's output function on uint64, any shape."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * np.uint64(_MIX_1)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(_MIX_2)
        mixed: np.ndarray = values ^ (values >> np.uint64(31))
        return mixed


def mix64_torch(values: torch.Tensor) -> torch.Tensor:
    """The same on int64 tensors, whose products wrap around like unsigned ones."""
    values = (values ^ _shifted(values, 30)) * _signed(_MIX_1)
    values = (values ^ _shifted(values, 27)) * _signed(_MIX_2)
    return values ^ _shifted(values, 31)


def _bits(seeds_N: torch.Tensor, view: int, n: int, stream: int) -> torch.Tensor:
    """64 random bits for each record and counter, int64 (N, n)."""
    use = int(mix64(np.array([(view << 32) ^ stream], np.uint64) + np.uint64(_STEP))[0])
    start_N = mix64_torch(mix64_torch(seeds_N) ^ _signed(use))
    counter_n = torch.arange(1, n + 1, device=seeds_N.device) * _signed(_STEP)
    return mix64_torch(start_N[:, None] + counter_n)


def _shifted(values: torch.Tensor, places: int) -> torch.Tensor:
    """Right shift that brings in zeros; torch's own repeats the sign."""
    return (values >> places) & ((1 << (64 - places)) - 1)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
