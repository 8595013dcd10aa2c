"""Sets of images to judge: a data set folder as it is, or what a generator makes of a seed's latents."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from adaptgan.console import track
from adaptgan.data.dataset import ShardDataset
from adaptgan.data.images import encode_png, to_uint8
from adaptgan.errors import DataError, ParamsError
from adaptgan.latents.drawing import as_sampler, labels_of, sampled
from adaptgan.models import load_model
from adaptgan.params import RealismSection
from adaptgan.reporting.images import enlarge, sheet
from adaptgan.training.seeding import derive, seed_all

COLUMNS = 20
"""Images in a row of a contact sheet."""

LINES = 20
"""Rows of a contact sheet, at most: classes where they are known."""

UNLABELLED_LINES = 5
"""Rows of a contact sheet without classes."""


@dataclass(frozen=True)
class ImageSet:
    """Images to judge.

    Attributes:
        images_NCHW: uint8.
        labels_N: the classes they carry, or that were asked for; None without any.
        classes: their names.
        path: the folder they are, or that made them.
        made_by: `data` or `model`.
        digest: of the data set, or the model's fingerprint.
        seconds: what getting them took.
    """

    images_NCHW: np.ndarray
    labels_N: np.ndarray | None
    classes: tuple[str, ...]
    path: Path
    made_by: str
    digest: str
    seconds: float


def named_paths(given: Sequence[str], taken: Sequence[str]) -> dict[str, Path]:
    """`NAME=PATH` texts as a dictionary, in order.

    Raises:
        ParamsError: one is malformed, or a name comes twice or is among `taken`.
    """
    found: dict[str, Path] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals or not path or not name or not all(letter.isalnum() or letter in "_-." for letter in name):
            raise ParamsError(
                f"--generated {text}: expected NAME=PATH with a name of letters, digits, `_`, `-` and `.`, such as "
                "--generated dcgan=models/dcgan."
            )
        if name in found or name in taken or name.startswith("."):
            raise ParamsError(f"--generated {text}: the name {name!r} is taken. Give this set another one.")
        found[name] = Path(path)
    if not found:
        raise ParamsError("nothing to judge: give at least one --generated NAME=PATH.")
    return found


def open_set(path: Path, options: RealismSection, seed: int, device: torch.device) -> ImageSet:
    """At most `options.images` images of a data set folder, at random, or as many samples of a model folder.

    Raises:
        AdaptganError: the folder is neither, is empty, or the model makes no images from noise.
    """
    start = time.perf_counter()
    if (path / "model.json").is_file():
        return _of_model(path, options, seed, device, start)
    if not (path / "manifest.json").is_file():
        raise DataError(
            f"{path}: this is neither a data set (manifest.json) nor a model folder (model.json). Give what "
            "`adaptgan ingest`, `synthesize` or `train` wrote."
        )
    data = ShardDataset(path)
    order = np.random.default_rng(derive(seed, "realism")).permutation(len(data))[: options.images]
    return part_of(data, order, start)


def part_of(data: ShardDataset, numbers: np.ndarray, start: float) -> ImageSet:
    """Some images of a data set, in the order of the data set; `start` is when the clock began."""
    picked = np.sort(numbers)
    labels_N = data.labels_N[picked] if data.has_labels else None
    images_NCHW = np.ascontiguousarray(data.images_NCHW[picked])
    return ImageSet(images_NCHW, labels_N, data.classes, data.folder, "data", data.digest, time.perf_counter() - start)


def _of_model(path: Path, options: RealismSection, seed: int, device: torch.device, start: float) -> ImageSet:
    """Samples of the seed's latents 0, 1, …; classes take turns where the model knows some."""
    model = load_model(path, device)
    sampler = as_sampler(model)
    parts = []
    for first in track(range(0, options.images, options.batch_size), f"sampling {path.name}"):
        numbers = range(first, min(first + options.batch_size, options.images))
        seed_all(seed, "realism", first)  # what a generator draws beside its latents
        with torch.inference_mode():
            made = sampled(sampler, seed, numbers, labels_of(model, numbers), options.truncation, device=device)
            parts.append(to_uint8(made).cpu().numpy())
    labels = labels_of(model, range(options.images))
    return ImageSet(
        np.concatenate(parts),
        None if labels is None else labels.numpy(),
        model.info.classes,
        path,
        "model",
        model.card.get("fingerprint", ""),
        time.perf_counter() - start,
    )


def contact_sheet(images: ImageSet) -> bytes:
    """The first images as PNG: a row for each class where classes are known, else some rows of whatever comes."""
    shown: list[np.ndarray] = []
    if images.labels_N is None:
        shown = list(images.images_NCHW[: COLUMNS * UNLABELLED_LINES])
    else:
        blank = np.full(images.images_NCHW.shape[1:], 255, np.uint8)
        for label in range(min(LINES, len(images.classes))):
            row = list(images.images_NCHW[images.labels_N == label][:COLUMNS])
            shown += row + [blank] * (COLUMNS - len(row))
    factor = max(1, 48 // max(images.images_NCHW.shape[2:]))
    return encode_png(enlarge(sheet(np.stack(shown), COLUMNS), factor))
