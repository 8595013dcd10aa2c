"""What keeps a shared and a private representation apart, and complete (Bousmalis 2016)."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def simse(images_NCHW: torch.Tensor, rebuilt_NCHW: torch.Tensor) -> torch.Tensor:
    """Scale-invariant mean squared error ‖d‖²/k − (Σd)²/k² of each image, d = x − x̂, k values (2016, eq. 4).

    It is the variance of an image's errors: getting all of it too bright by the same amount costs nothing, so that
    reconstruction spends itself on shapes.

    Returns:
        (N,), float32 at least.
    """
    d_Nk = (_wide(images_NCHW) - _wide(rebuilt_NCHW)).flatten(1)
    return d_Nk.square().mean(1) - d_Nk.mean(1).square()


def soft_orthogonality(shared_NF: torch.Tensor, private_NG: torch.Tensor) -> torch.Tensor:
    """‖HcᵀHp‖²_F of one domain's shared and private features (2016, eq. 5).

    As in the authors' code, each feature first loses its mean over the batch and each image's features are then scaled
    to length 1, which the paper leaves out; without it, shrinking the features would be enough.
    """
    with torch.autocast(shared_NF.device.type, enabled=False):
        shared_NF, private_NG = _centered(_wide(shared_NF)), _centered(_wide(private_NG))
        return (shared_NF.T @ private_NG).square().sum()


def _centered(features_NF: torch.Tensor) -> torch.Tensor:
    return F.normalize(features_NF - features_NF.mean(0), dim=1, eps=1e-6)


def _wide(x: torch.Tensor) -> torch.Tensor:
    return x if x.dtype == torch.float64 else x.float()
