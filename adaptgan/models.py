"""Model folders: safetensors and a card, written by `train`, read by everything else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from adaptgan.datainfo import DataInfo
from adaptgan.errors import AdaptganError
from adaptgan.files import read_json, write_json
from adaptgan.methods.base import Guard, Method
from adaptgan.networks.layers import to_channels_last
from adaptgan.plugins import components

SCHEMA = 1


def save_model(method: Method, card: Mapping[str, Any], folder: Path) -> None:
    """Write `model.safetensors` and `model.json`; equal weights and cards give equal bytes."""
    weights = {
        name: value.detach().cpu().contiguous().clone()
        for name, value in method.state_dict().items()
        if name.split(".")[0] not in method.training_only
    }
    save_file(weights, folder / "model.safetensors")
    write_json(folder / "model.json", {"schema": SCHEMA, **card})


def load_model(folder: Path | str, device: torch.device | str = "cpu") -> Method:
    """A trained method in eval mode, with what it can do: `predict`, `features`, `translate`, `sample`.

    Args:
        folder: what `adaptgan train --out` made.
        device: where to put it.

    Returns:
        The method; `.info` tells the images it expects, `.card` is its model.json.

    Raises:
        AdaptganError: the folder is no model, is damaged, or needs a component that is not installed.
    """
    folder = Path(folder)
    if not (folder / "model.json").is_file():
        raise AdaptganError(
            f"{folder}: this is no model folder (it has no model.json). `adaptgan train … --out` makes one."
        )
    card = read_json(folder / "model.json")
    if card.get("schema") != SCHEMA:
        raise AdaptganError(f"{folder}: model.json has schema {card.get('schema')}, this adaptgan reads {SCHEMA}.")
    data = card["data"]
    info = DataInfo(
        data["channels"],
        data["height"],
        data["width"],
        tuple(data["classes"]),
        data.get("task", "classification"),
        tuple(data.get("values", ())),
        tuple((mean, std) for mean, std in data.get("scales", ())),
        data.get("paired", 0),
    )
    method: Method = components().build("method", card["method"], str(folder), [info, Guard()])
    try:
        weights = load_file(folder / "model.safetensors")
        missing, unexpected = method.load_state_dict(weights, strict=False)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise AdaptganError(
            f"{folder}/model.safetensors: the weights could not be read ({error}). Train it again: `dvc repro`."
        ) from None
    missing = [name for name in missing if name.split(".")[0] not in method.training_only]
    if missing or unexpected:
        raise AdaptganError(
            f"{folder}: the weights do not fit the method {card['method']['name']!r} (missing {missing[:3]}, "
            f"unexpected {unexpected[:3]}). It was trained by another version: {card.get('versions')}. Train it again."
        )
    method.info, method.card = info, card
    to_channels_last(method)
    return method.to(device).eval().requires_grad_(False)
