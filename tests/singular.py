"""Matrices on which power iteration arrives soon, whatever was drawn."""

from __future__ import annotations

import torch
from torch.nn.init import orthogonal_


def halving(rows: int, columns: int) -> torch.Tensor:
    """A random (rows, columns) matrix with the singular values 1, 1/2, 1/4, …; no fewer columns than rows."""
    return orthogonal_(torch.empty(rows, rows)) * 0.5 ** torch.arange(rows) @ orthogonal_(torch.empty(rows, columns))
