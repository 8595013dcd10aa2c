"""The half of synthesize that has a data set to work on: every image translated, labels and annotations kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch

from adaptgan.console import track
from adaptgan.data.annotations import scaled
from adaptgan.data.dataset import ShardDataset
from adaptgan.data.images import to_float
from adaptgan.data.manifest import ImageFormat
from adaptgan.data.records import Record
from adaptgan.data.shards import iter_records
from adaptgan.errors import DataError, ParamsError, nearest
from adaptgan.methods.base import Method
from adaptgan.stages.judged import judged
from adaptgan.training.seeding import derive, seed_all

PLACES = {"boxes", "bboxes", "bbox", "objects", "keypoints", "mask", "masks", "segmentation", "landmarks", "values"}
"""Annotations that say where something is in the image, or what was measured on it."""

REMEDY = "The translator has lost the labels: give it more self-regularization or a semantic term, or train it longer."
"""What to do when no image passes."""


def translated(
    data: ShardDataset,
    translator: Any,
    to: str | None,
    judges: Sequence[Any],
    batch_size: int,
    seed: int,
    device: torch.device,
    fabric: Any,
) -> Iterator[tuple[Record, str]]:
    """Every record with its new image, and why it is rejected (empty when it is kept)."""
    records = iter_records(data.folder)
    masked = translator.translates == "mask" or any(getattr(judge, "needs_masks", False) for judge in judges)
    masks_NHW = torch.from_numpy(data.targets("segmentation")) if masked else None
    going = {"to": to} if to is not None else {}
    for start in track(range(0, len(data), batch_size), "refining"):
        indices = range(start, min(start + batch_size, len(data)))
        before = to_float(torch.from_numpy(data.images_NCHW[start : indices.stop].copy()).to(device))
        seeds = torch.tensor([derive(seed, "synthesize", data.keys[i]) for i in indices], device=device)
        seed_all(seed, "synthesize", start)
        labels = torch.from_numpy(data.labels_N[start : indices.stop]).to(device) if data.has_labels else None
        masks = None if masks_NHW is None else masks_NHW[start : indices.stop].to(device)
        with fabric.autocast():
            made = translator.translate(masks if translator.translates == "mask" else before, seeds, **going)
            batch = judged(judges, before, made, labels, masks)
        for row, index in enumerate(indices):
            record = next(records)
            assert record.key == data.keys[index]
            _check_annotations(record, translator)
            provenance = {
                **record.provenance,
                "source_key": record.key,
                "source_sha256": hashlib.sha256(record.image.tobytes()).hexdigest(),
                "model": translator.card["fingerprint"],
                "seed": seed,
                "gate": batch.scores[row],
            }
            reason = batch.reasons[row]
            if reason:
                provenance["reason"] = reason
            annotations = record.annotations
            if translator.scale > 1:
                annotations = scaled(annotations, translator.scale, translator.scale)
            yield Record(record.key, batch.image(row), record.label, annotations, provenance), reason


def check_domain(section: str, to: str | None, translator: Method) -> None:
    """The domain asked for must be one that the translator knows.

    Raises:
        ParamsError: it is not.
    """
    if to is None or to in translator.domains:
        return
    name = translator.card["method"]["name"]
    if not translator.domains:
        raise ParamsError(f"{section}.to: {name!r} goes one way only. Leave it out.")
    raise ParamsError(f"{section}.to: {name!r} knows no domain {to!r}. {nearest(to, translator.domains)}")


def image_format(translator: Method, data: ShardDataset) -> ImageFormat | None:
    """The shape of translations."""
    image = data.manifest.image
    if image is None:
        return None
    made, scale = translator.info, translator.scale
    mode: Literal["L", "RGB"] = "L" if (made.paired or made.channels) == 1 else "RGB"
    return ImageFormat(height=image.height * scale, width=image.width * scale, mode=mode)


def check_shapes(translator: Method, data: ShardDataset) -> None:
    """The translator must know images of this kind.

    Raises:
        DataError: it was trained on others.
    """
    mine, theirs = translator.info, data.info
    if translator.translates == "mask":
        known = data.info_for("segmentation").classes
        if known != mine.classes:
            raise DataError(
                f"{data.folder} has masks of {', '.join(known)}, the translator was trained on "
                f"{', '.join(mine.classes)}. Name the classes of pixels alike, and in the same order."
            )
        return
    if mine.channels != theirs.channels:
        raise DataError(
            f"{data.folder} has {theirs.channels} channel(s), the translator was trained on {mine.channels}. "
            "Ingest with the same `mode`."
        )


def _check_annotations(record: Record, translator: Method) -> None:
    """Refuse to carry over what a translator that moves pixels would make wrong."""
    if translator.moves_pixels and (places := sorted(PLACES & record.annotations.keys())):
        raise DataError(
            f"Record {record.key!r} is annotated with {places}, and {translator.card['method']['name']!r} as "
            "configured moves pixels (its `jitter`), so the annotations would no longer fit. Train it with "
            "`jitter: none`."
        )
