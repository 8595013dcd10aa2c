"""Class labels as networks take them in."""

from __future__ import annotations

import math

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


def one_hot_map(masks_NHW: torch.Tensor, classes: int) -> torch.Tensor:
    """Maps of the pixels' classes as planes that are 0 or 1, float (N, K, H, W).

    Args:
        masks_NHW: int64 in [0, K).
        classes: K.
    """
    return (masks_NHW[:, None] == torch.arange(classes, device=masks_NHW.device)[:, None, None]).float()


def painted(masks_NHW: torch.Tensor, classes: int, channels: int = 3) -> torch.Tensor:
    """Maps of the pixels' classes for people to look at: class 0 black, the others' hues, or greys, evenly apart.

    Args:
        masks_NHW: int64 in [0, K).
        classes: K.
        channels: 1 or 3.

    Returns:
        Images (N, C, H, W) in [-1, 1].
    """
    number_K = torch.arange(classes, device=masks_NHW.device)
    if channels == 1:
        colours_KC = (2 * number_K / max(1, classes - 1) - 1)[:, None]
    else:
        thirds_C = torch.arange(channels, device=masks_NHW.device) / channels
        colours_KC = torch.cos(2 * math.pi * ((number_K[:, None] - 1) / max(1, classes - 1) - thirds_C))
        colours_KC = torch.where(number_K[:, None] == 0, -1.0, colours_KC)
    return colours_KC[masks_NHW].permute(0, 3, 1, 2).contiguous()
