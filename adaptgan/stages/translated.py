"""The half of synthesize that has a data set to work on: every image translated, labels and annotations kept."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Literal

import numpy as np
import torch

from adaptgan.console import track
from adaptgan.data.annotations import PLACES, scaled
from adaptgan.data.dataset import ShardDataset
from adaptgan.data.images import chw, to_float
from adaptgan.data.manifest import ImageFormat
from adaptgan.data.records import Record
from adaptgan.errors import DataError, ParamsError, nearest
from adaptgan.methods.base import Method
from adaptgan.stages.conditions import encoded_conditions
from adaptgan.stages.judged import Judged, judged
from adaptgan.stages.overlap import Unfinished, prefetched
from adaptgan.stages.ranks import Ranks
from adaptgan.stages.transfers import ready_to_send, sent
from adaptgan.training.seeding import derive, seed_all

REMEDY = (
    "The translator has lost the labels, or moved what it should leave in its place: give it more self-regularization "
    "or a semantic term, or train it longer."
)
"""What to do when no image passes."""


@dataclass(frozen=True)
class _Batch:
    """Records that are translated together: read by another thread, in memory that a GPU can fetch by itself."""

    start: int
    records: list[Record]
    images_NCHW: torch.Tensor
    seeds_N: torch.Tensor
    labels_N: torch.Tensor | None
    masks_NHW: torch.Tensor | None
    conditions_N: torch.Tensor | None


def translated(
    data: ShardDataset,
    translator: Any,
    to: str | None,
    judges: Sequence[Any],
    ranks: Ranks,
    batch_size: int,
    seed: int,
    device: torch.device,
    fabric: Any,
) -> Generator[Unfinished, None, None]:
    """The batches of this rank in order, translated and judged; what is left to do with each, any thread can do.

    A batch's seeds are its place's and its records' own, so that no batch depends on who makes it, or on any other.
    """
    masked = translator.translates == "mask" or any(getattr(judge, "needs_masks", False) for judge in judges)
    masks_NHW = torch.from_numpy(data.targets("segmentation")) if masked else None
    encoded = encoded_conditions(translator, data) if translator.translates == "conditions" else None
    conditions_N = None if encoded is None else torch.from_numpy(encoded)
    going = {"to": to} if to is not None else {}
    starts = ranks.mine(range(0, len(data), batch_size))
    batches = prefetched(_read(data, translator, masks_NHW, conditions_N, starts, batch_size, seed, device))
    with closing(batches):
        for batch in track(batches, "refining", total=len(starts), shown=ranks.rank == 0):
            before = sent(batch.images_NCHW, device)
            if before.dtype == torch.uint8:
                before = to_float(before)
            labels = None if batch.labels_N is None else sent(batch.labels_N, device)
            masks = None if batch.masks_NHW is None else sent(batch.masks_NHW, device)
            conditions = None if batch.conditions_N is None else sent(batch.conditions_N, device)
            given = {"image": before, "mask": masks, "conditions": conditions}[translator.translates]
            seed_all(seed, "synthesize", batch.start)
            with fabric.autocast():
                seeds = sent(batch.seeds_N, device)
                made = translator.translate(given, seeds, **going)
                # What is made of annotations alone has no image before it, as if it were made from noise.
                found = judged(judges, before if conditions is None else None, made, labels, masks)
            yield partial(_finished, batch, found, translator, seed)


def _read(
    data: ShardDataset,
    translator: Any,
    masks_NHW: torch.Tensor | None,
    conditions_N: torch.Tensor | None,
    starts: Sequence[int],
    batch_size: int,
    seed: int,
    device: torch.device,
) -> Iterator[_Batch]:
    table_256 = to_float(torch.arange(256, dtype=torch.uint8)).numpy()
    spans = [range(start, min(start + batch_size, len(data))) for start in starts]
    records = data.unpaired(index for span in spans for index in span)
    for span in spans:
        batch = list(islice(records, len(span)))
        for record in batch:
            _check_annotations(record, translator)
        stored = np.stack([chw(record.image) for record in batch])
        # To a GPU they go as bytes. A table instead of torch's arithmetic, which would start threads for this thread.
        images = torch.from_numpy(table_256.take(stored) if device.type == "cpu" else stored)
        seeds = torch.tensor([derive(seed, "synthesize", record.key) for record in batch])
        labels = _labels(data, batch) if data.has_labels else None
        masks = None if masks_NHW is None else masks_NHW[span.start : span.stop]
        conditions = None if conditions_N is None else conditions_N[span.start : span.stop]
        whole = (images, seeds, labels, masks, conditions)
        parts = [None if part is None else ready_to_send(part, device) for part in whole]
        yield _Batch(span.start, batch, *parts)  # type: ignore[arg-type]


def _labels(data: ShardDataset, records: Sequence[Record]) -> torch.Tensor:
    labels = [-1 if record.label is None else record.label for record in records]
    if not 0 <= min(labels) <= max(labels) < len(data.classes):
        raise DataError(f"{data.folder}: some labels are not in 0..{len(data.classes) - 1}. Ingest the data set again.")
    return torch.tensor(labels)


def _finished(batch: _Batch, found: Judged, translator: Any, seed: int) -> list[tuple[Record, str]]:
    """Every record with its new image, and why it is rejected (empty when it is kept)."""
    finished = []
    for row, record in enumerate(batch.records):
        provenance = {
            **record.provenance,
            "source_key": record.key,
            "source_sha256": hashlib.sha256(record.image.tobytes()).hexdigest(),
            "model": translator.card["fingerprint"],
            "seed": seed,
            **found.provenance(row),
        }
        annotations = record.annotations
        if translator.enlarges > 1:
            annotations = scaled(annotations, translator.enlarges, translator.enlarges)
        new = Record(record.key, found.image(row), record.label, annotations, provenance)
        finished.append((new, found.reasons[row]))
    return finished


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
    made, scale = translator.info, translator.enlarges
    if translator.translates == "conditions":
        return ImageFormat(height=made.height, width=made.width, mode="L" if made.channels == 1 else "RGB")
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
    if translator.translates == "conditions":
        return  # it looks at no image
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
            "configured moves pixels, so the annotations would no longer fit. Train it with `jitter: none`, or take a "
            "translator that leaves pixels in their places, such as simgan."
        )
