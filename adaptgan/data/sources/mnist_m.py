"""Digits on photographs, as Ganin 2016 built MNIST-M, from what installed packages carry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from pydantic import Field

from adaptgan.data.measures import Annotation, measured
from adaptgan.data.records import Record
from adaptgan.data.sources.base import check_split, generator
from adaptgan.data.sources.handwriting import Handwriting
from adaptgan.data.sources.photos import Tile, patch, tiles

_DARK, _TRIES = 40, 8
"""A patch of a mean below this is drawn again, a few times."""


class MnistM:
    """The digits of `handwriting` over patches of photographs: |patch − digit| in each channel (Ganin 2016, §5.2.4).

    4,000 `train` and 1,000 `test` images, RGB; digits and photo regions of the two never meet. The paper cut its
    patches from the 500 photos of BSDS500; here are three, so each patch is also drawn at a random scale, turned by
    quarter turns, mirrored, and its colour channels are exchanged, and dark patches, on which a digit would look as it
    does in `handwriting`, are avoided. Slant, thickness and mask are those of the digit before it was laid over the
    photo.

    Args:
        image_size: height and width; the 28×28 digits are centred in it, not enlarged.
        photos: a folder of your own photos, used in place of the bundled ones.
        annotate: what to measure on every digit: `values` (slant, thickness) for a regression, `mask` for a
            segmentation.
    """

    classes: tuple[str, ...] = Handwriting.classes

    def __init__(
        self,
        image_size: Annotated[int, Field(ge=28, le=512)] = 32,
        photos: str | None = None,
        annotate: tuple[Annotation, ...] = (),
    ) -> None:
        self.image_size, self.photos, self.annotate = image_size, photos, annotate
        self.total: int | None = None

    def records(self, split: str, seed: int) -> Iterator[Record]:
        """The split's records, in another order than handwriting's; the patches follow the seed."""
        check_split(split, ("train", "test"), "mnist_m")
        digits = list(Handwriting(self.image_size).records(split, seed))
        found = tiles(self.photos, split, "mnist_m")
        self.total = len(digits)
        # Neither keys nor places may match those of `handwriting`, whose labels may be open where these are sealed.
        order = generator("mnist_m", split).permutation(len(digits))
        first = 0 if split == "train" else 4 * len(digits)
        return (self._record(first + number, digits[index], found, split, seed) for number, index in enumerate(order))

    def _record(self, number: int, digit: Record, places: list[Tile], split: str, seed: int) -> Record:
        draw = generator("mnist_m", seed, split, number)
        for _ in range(_TRIES):
            file, box, pixels = places[int(draw.integers(len(places)))]
            photo, place = patch(pixels, self.image_size, draw)
            if photo.mean() >= _DARK:
                break
        image = np.abs(photo.astype(np.int16) - digit.image[:, :, None]).astype(np.uint8)
        provenance = {
            **digit.provenance,
            "photo": file,
            "patch": [box[0] + place[0], box[1] + place[1], place[2], place[2]],
        }
        found = measured(digit.image, self.annotate)
        return Record(f"mnist_m_{number:04d}", image, digit.label, found, provenance)
