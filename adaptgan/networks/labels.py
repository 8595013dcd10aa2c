"""Class labels as networks take them in."""

from __future__ import annotations

import torch

from adaptgan.datainfo import DataInfo
from adaptgan.errors import ParamsError


def known_classes(data: DataInfo, network: str) -> int:
    """K, of data whose classes a network is to be conditioned on.

    Args:
        data: what the network is built for.
        network: its name, for the message.

    Raises:
        ParamsError: the data has no classes.
    """
    if not data.n_classes:
        raise ParamsError(
            f"{network}: a conditional network needs classes, and these images have none. "
            "Give labelled images, or a classifier that reads them (`--guard DIR`), or leave `conditional` out."
        )
    return data.n_classes


def one_hot(labels_N: torch.Tensor | None, classes: int) -> torch.Tensor:
    """Labels as rows of zeros with a one, float (N, K).

    Compared rather than scattered: `torch.nn.functional.one_hot` looks at the labels' values, which waits for them.

    Args:
        labels_N: int64 in [0, K).
        classes: K.

    Raises:
        ParamsError: there are no labels.
    """
    if labels_N is None:
        raise ParamsError("a conditional network was called without labels; pass int64 class indices (N,).")
    return (labels_N[:, None] == torch.arange(classes, device=labels_N.device)).float()


def concat_classes(z_NZ: torch.Tensor, labels_N: torch.Tensor | None, classes: int) -> torch.Tensor:
    """Latents with their classes, one-hot, behind them, (N, Z + K) (Mirza & Osindero 2014).

    Args:
        z_NZ: latents.
        labels_N: int64 in [0, K).
        classes: K.

    Raises:
        ParamsError: there are no labels.
    """
    return torch.cat([z_NZ, one_hot(labels_N, classes)], dim=1)


def concat_class_planes(images_NCHW: torch.Tensor, labels_N: torch.Tensor | None, classes: int) -> torch.Tensor:
    """Images with their classes behind the channels, as K planes that are 0 or 1 all over, (N, C + K, H, W).

    Args:
        images_NCHW: images, whose type the planes take.
        labels_N: int64 in [0, K).
        classes: K.

    Raises:
        ParamsError: there are no labels.
    """
    planes_NK11 = one_hot(labels_N, classes)[:, :, None, None].to(images_NCHW.dtype)
    return torch.cat([images_NCHW, planes_NK11.expand(-1, -1, *images_NCHW.shape[2:])], dim=1)
