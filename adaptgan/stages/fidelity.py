"""The fidelity stage: translations and the truth they should have been in, how close they are out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from adaptgan.data.dataset import ShardDataset
from adaptgan.data.images import encode_png, to_float, to_uint8
from adaptgan.errors import DataError, ParamsError
from adaptgan.files import staged, write_json
from adaptgan.metrics.fidelity import compared
from adaptgan.metrics.realism import Metric, explained, wants
from adaptgan.metrics.spaces import PixelPCA, scale_to_unit
from adaptgan.params import Component, FidelitySection, Params
from adaptgan.plugins import components
from adaptgan.reporting.images import enlarge, sheet
from adaptgan.stages.base import Stage
from adaptgan.stages.fidelity_judge import Judge
from adaptgan.stages.fidelity_table import headline, print_table
from adaptgan.stages.realism import named_metrics
from adaptgan.training.devices import pick_device

SECTION = "fidelity"
MADE, TRUTH = "made", "truth"
INPUT, BICUBIC, NEAREST = "input", "bicubic", "nearest"

SCALES = {
    "l1": "mean absolute difference, of images from 0 to 1",
    "psnr": "mean over images, dB; at most 58.9, the error of 8 bits",
    "ssim": "mean over images, at most 1; 11×11 Gaussian windows (Wang 2004)",
}
"""What the numbers of one image and its truth are."""


def fidelity(
    params: Params,
    section: str = SECTION,
    *,
    made: Path,
    truth: Path,
    out: Path,
    start: Path | None = None,
    judge: Path | None = None,
    plots: Path | None = None,
) -> dict[str, Any]:
    """Compare translations with the images that they should have become.

    Args:
        params: the parsed params.yaml.
        section: its fidelity section; one called `fidelity` may be left out, all defaults.
        made: the translations, as `synthesize` wrote them. Each belongs to the record of `truth` that its provenance
            names as its source, or that has its key.
        truth: the data set of the wanted images: their pairs where it has some, else the images themselves.
        out: JSON to write.
        start: what the translations were made from: measured alike, as the baseline of doing nothing. Smaller images
            are enlarged, `bicubic` (Keys' cubic, a = −½) and `nearest`.
        judge: a classifier, or a segmenter, of images as the truth's, that had no hand in making the translations.
        plots: folder for `pairs.png`: records below each other; start, made and truth beside each other.

    The distances between sets (`metrics`) are in the judge's features, or in the main components of the truth's pixels.
    Made and true images are of the same scenes, not draws of their own, so KID goes below 0 where they are alike.

    Returns:
        What `out` holds: `rows`, numbers by row (`made`, `input` or `bicubic` and `nearest`, `truth`); `images`, how
        many pairs were compared; `missing` and `unknown`, records of `truth` without a translation and the other way
        round; `truth`, which images were the truth; `space`, where distances between sets were measured; `scales`.

    Raises:
        AdaptganError: see the message.
    """
    known = section != SECTION or SECTION in params.sections
    options = params.section(section, FidelitySection) if known else FidelitySection()
    measures = named_metrics(options.metrics, section)
    inputs = {"made": made, "truth": truth, "input": start, "judge": judge}
    stage = Stage(
        "fidelity",
        section,
        {**options.model_dump(mode="json"), "metrics": list(measures.values())},
        {role: path for role, path in inputs.items() if path is not None},
        {"out": out, **({"plots": plots} if plots else {})},
        seed=params.seed,
        tracking=params.pipeline.tracking,
    )
    with stage.running():
        device = pick_device(options.device)
        metrics = _metrics(measures, section)
        pairs = _open(ShardDataset(made), ShardDataset(truth), start)
        shape = pairs.truth_NCHW.shape[1:]
        if 2 * options.border >= min(shape[1:]):
            raise ParamsError(f"{section}.border: {options.border} leaves nothing of images of {shape}.")
        umpire = Judge(judge, pairs.made, pairs.truth, shape, device, options.batch_size) if judge else None
        rows = {
            name: _close(images, pairs.truth_NCHW, options, device, metrics, umpire, params.seed)
            for name, images in pairs.images.items()
        }
        rows[TRUTH] = {}
        if umpire is not None:
            for name, images in (pairs.images | {TRUTH: pairs.truth_NCHW}).items():
                rows[name] |= umpire.scores(images, pairs.rows_N, pairs.places_N)
        result: dict[str, Any] = {
            "rows": rows,
            "images": len(pairs.rows_N),
            "missing": len(pairs.truth) - len(np.unique(pairs.places_N)),
            "unknown": len(pairs.made) - len(pairs.rows_N),
            "truth": "paired" if pairs.paired else "images",
            "space": "model" if umpire and umpire.has_features else "pixels",
            "scales": SCALES | explained(metrics.values()),
        }
        if plots is not None:
            with staged(plots) as folder:
                columns = [pairs.images[name] for name in (NEAREST, BICUBIC, INPUT, MADE) if name in pairs.images]
                (folder / "pairs.png").write_bytes(grid([*columns, pairs.truth_NCHW], options.rows))
        write_json(out, result)
        stage.results = headline(result)
    print_table(result)
    return result


@dataclass(frozen=True)
class _Pairs:
    """What is compared.

    Attributes:
        made: the translations' data set.
        truth: the data set with the wanted images.
        rows_N: the pairs' places in `made`.
        places_N: their places in `truth`.
        truth_NCHW: uint8, the wanted images.
        images: uint8 (N, C, H, W) by name: `made`, and the baselines.
        paired: whether the wanted images are the pairs of `truth`'s.
    """

    made: ShardDataset
    truth: ShardDataset
    rows_N: np.ndarray
    places_N: np.ndarray
    truth_NCHW: np.ndarray
    images: dict[str, np.ndarray]
    paired: bool


def _open(made: ShardDataset, truth: ShardDataset, start: Path | None) -> _Pairs:
    """Find the pairs and their images, all of one shape."""
    paired = truth.manifest.paired is not None
    rows_N, places_N = matched(truth, made)
    truth_NCHW = (truth.paired_NCHW if paired else truth.images_NCHW)[places_N]
    images = {MADE: made.images_NCHW[rows_N]}
    if images[MADE].shape != truth_NCHW.shape:
        raise DataError(
            f"--made {made.folder} has images of {images[MADE].shape[1:]} (channels, height, width), --truth "
            f"{truth.folder} of {truth_NCHW.shape[1:]}. They cannot be compared: ingest the truth with the `size` and "
            "`mode` of what the translator makes."
        )
    if start is not None:
        images |= _baselines(ShardDataset(start), truth, places_N, truth_NCHW.shape[1:])
    return _Pairs(made, truth, rows_N, places_N, truth_NCHW, images, paired)


def _metrics(measures: Mapping[str, Component], section: str) -> dict[str, Metric]:
    """The metrics, none of which may ask for class probabilities."""
    metrics = {name: components().build("metric", one, f"{section}.metrics") for name, one in measures.items()}
    if needy := [name for name, metric in metrics.items() if wants(metric) == "probabilities"]:
        raise ParamsError(
            f"{section}.metrics: {needy[0]} is measured on class probabilities, by `adaptgan realism` with the "
            "extractor `model`. Here are distances in features or of images only, such as `kid`."
        )
    return metrics


def matched(truth: ShardDataset, made: ShardDataset) -> tuple[np.ndarray, np.ndarray]:
    """Which records of `made` have a truth, and which record of `truth` that is: two lists of numbers, (N,) each.

    Raises:
        DataError: none has.
    """
    places = {key: place for place, key in enumerate(truth.keys)}
    rows, found = [], []
    for row, (key, content) in enumerate(zip(made.keys, made.reader.contents(), strict=True)):
        source = content.get("provenance", {}).get("source_key")
        place = places.get(source, places.get(key))
        if place is not None:
            rows.append(row)
            found.append(place)
    if not rows:
        raise DataError(
            f"--made {made.folder} was not made from the records of --truth {truth.folder}: none of its records has a "
            "key, or a `source_key` in its provenance, that is one of the truth's. Translate the data set whose truth "
            "this is (`adaptgan synthesize --from`)."
        )
    return np.array(rows), np.array(found)


def _baselines(
    start: ShardDataset, truth: ShardDataset, places_N: np.ndarray, shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """What the translations were made from, in the truth's shape: as it is, or enlarged in two ways."""
    numbers = {key: number for number, key in enumerate(start.keys)}
    keys = [truth.keys[place] for place in places_N]
    if lacking := [key for key in keys if key not in numbers]:
        raise DataError(
            f"--input {start.folder} lacks {len(lacking)} of the {len(keys)} records that were compared, "
            f"{lacking[0]!r} first. Give the data set that was translated."
        )
    images = start.images_NCHW[[numbers[key] for key in keys]]
    channels, height, width = shape
    if images.shape[1] not in (1, channels) or images.shape[2] > height or images.shape[3] > width:
        raise DataError(
            f"--input {start.folder} has images of {images.shape[1:]} (channels, height, width), the truth of {shape}: "
            "they cannot be laid beside it. Leave --input out."
        )
    images = np.repeat(images, channels // images.shape[1], axis=1)
    if images.shape[1:] == shape:
        return {INPUT: images}
    small = torch.from_numpy(images)
    # antialias: only with it is the kernel Keys' with a = −½, as Pillow and MATLAB have it; else a is −¾.
    cubic = F.interpolate(to_float(small), (height, width), mode="bicubic", antialias=True)
    return {
        BICUBIC: to_uint8(cubic).numpy(),
        NEAREST: F.interpolate(small, (height, width), mode="nearest-exact").numpy(),
    }


def _close(
    images_NCHW: np.ndarray,
    truth_NCHW: np.ndarray,
    options: FidelitySection,
    device: torch.device,
    metrics: Mapping[str, Metric],
    umpire: Judge | None,
    seed: int,
) -> dict[str, Any]:
    """All numbers of one row but the judge's."""
    found = compared(
        images_NCHW,
        truth_NCHW,
        border=options.border,
        on_luma=options.luma,
        device=device,
        batch_size=options.batch_size,
    )
    numbers: dict[str, Any] = {name: None if one is None else float(one.mean()) for name, one in found.items()}
    if metrics and len(images_NCHW) > 1:
        space = umpire.features if umpire and umpire.has_features else PixelPCA(truth_NCHW)
        reference, other = scale_to_unit(space(truth_NCHW), space(images_NCHW))
        for metric in metrics.values():
            numbers |= metric(*((images_NCHW, truth_NCHW) if wants(metric) == "images" else (other, reference)), seed)
    return numbers


def grid(columns: list[np.ndarray], rows: int) -> bytes:
    """A PNG with the first records below each other, each in all its variants from left to right."""
    count, _, height, width = columns[0][:rows].shape
    images_NCHW = np.stack([column[:count] for column in columns], 1).reshape(-1, *columns[0].shape[1:])
    return encode_png(enlarge(sheet(images_NCHW, len(columns)), max(1, 96 // max(height, width))))
