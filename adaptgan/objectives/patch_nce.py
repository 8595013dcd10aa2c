"""The contrastive loss of image patches (Park 2020)."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from adaptgan.objectives.adversarial import precise


def patch_nce(queries_NSF: torch.Tensor, keys_NSF: torch.Tensor, temperature: float = 0.07) -> torch.Tensor:
    """−log exp(v·v⁺/τ) / (exp(v·v⁺/τ) + Σ exp(v·v⁻/τ)), mean over images and places (Park 2020, eq. 1 and 3).

    v is a query, the feature of a place in a translation; v⁺ the key of the same place in the image that it was made
    from, v⁻ the keys of that image's other S − 1 places. No gradient goes through keys that came detached.

    Args:
        queries_NSF: N images, S places, features of length 1.
        keys_NSF: likewise.
        temperature: τ.

    Returns:
        A scalar, in float32 at least: log S where nothing can be told apart, down to nearly 0.
    """
    queries, keys = precise(queries_NSF), precise(keys_NSF)
    with torch.autocast(queries.device.type, enabled=False):
        similarity_NSS = (queries / temperature) @ keys.transpose(1, 2)
    places = torch.arange(queries.shape[1], device=queries.device)
    return F.cross_entropy(similarity_NSS.flatten(0, 1), places.repeat(len(queries)))
