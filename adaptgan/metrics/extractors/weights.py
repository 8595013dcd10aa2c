"""Weight files from outside: read without running anything that is in them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from adaptgan.errors import DataError


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Named tensors of a torch or safetensors file.

    Raises:
        DataError: it is missing, damaged, or holds anything but named tensors.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such weight file.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise DataError(
            f"{path}: this is no file of weights alone ({type(error).__name__}). Expected a state dict, as "
            "`torch.save(network.state_dict(), …)` writes it; whole pickled networks are not opened."
        ) from None
    if not isinstance(weights, Mapping) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise DataError(f"{path}: expected a state dict, names with tensors; found {type(weights).__name__}.")
    return dict(weights)


def fill(network: nn.Module, weights: Mapping[str, torch.Tensor], path: Path) -> None:
    """Put weights into a network; counters of batches, which old files lack, stay as they are.

    Raises:
        DataError: they do not fit.
    """
    try:
        missing, unexpected = network.load_state_dict(dict(weights), strict=False)
    except RuntimeError as error:
        raise DataError(f"{path}: the weights do not fit {type(network).__name__}: {error}") from None
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise DataError(
            f"{path}: the weights do not fit {type(network).__name__} (missing {missing[:3]}, unexpected "
            f"{unexpected[:3]})."
        )


def to_colour(images_NCHW: torch.Tensor) -> torch.Tensor:
    """uint8, grey or colour, to float of three channels, still 0..255."""
    images = images_NCHW.float()
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
