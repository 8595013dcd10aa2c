"""Small pieces of photographs: true images for super-resolution, and backgrounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from adaptgan.data.records import Record
from adaptgan.data.sources.base import check_split, generator
from adaptgan.data.sources.photos import patch, tiles
from adaptgan.errors import DataError

_TRIES = 8
"""Crops with too little in them are drawn again so often."""


class PhotoCrops:
    """Squares of photographs, RGB, without labels: `count` for `train`, a quarter as many for `test`.

    Cut from random places at random scales, never enlarged; turned by quarter turns, mirrored, with exchanged colour
    channels. Each photo is laid out in 4 × 5 tiles of which a fifth is `test`: regions of the two never meet, but they
    are of the same few photos. The seed decides the crops and not which tile is whose.

    Args:
        image_size: height and width of a crop; a tile's shorter side at most, that is 102 for the bundled photos.
        count: how many there are for `train`.
        detail: crops of a smaller standard deviation (0 … 127) over pixels, such as sky, are drawn again, a few times.
        photos: a folder of your own photos, used in place of the three bundled ones.
    """

    classes: tuple[str, ...] = ()

    def __init__(
        self,
        image_size: Annotated[int, Field(ge=8, le=4096)] = 64,
        count: Annotated[int, Field(ge=4)] = 4000,
        detail: Annotated[float, Field(ge=0, le=127)] = 0.0,
        photos: str | None = None,
    ) -> None:
        self.image_size, self.count, self.detail, self.photos = image_size, count, detail, photos
        self.total: int | None = None

    def records(self, split: str, seed: int) -> Iterator[Record]:
        """The split's crops.

        Raises:
            DataError: there are no photos, or one is too small to cut crops of this size from.
        """
        check_split(split, ("train", "test"), "photo_crops")
        found = tiles(self.photos, split, "photo_crops")
        smallest = min(found, key=lambda tile: min(tile[2].shape[:2]))
        if (most := min(smallest[2].shape[:2])) < self.image_size:
            raise DataError(
                f"photo_crops: image_size {self.image_size} is more than the photo {smallest[0]} has in one tile, "
                f"{most} pixels (a quarter of its height, a fifth of its width). Make crops smaller, or bring larger "
                "photos in `photos`."
            )
        self.total = self.count if split == "train" else self.count // 4
        first = 0 if split == "train" else self.count
        for number in range(first, first + self.total):
            draw = generator("photo_crops", seed, split, number)
            for _ in range(_TRIES):
                file, box, pixels = found[int(draw.integers(len(found)))]
                crop, place = patch(pixels, self.image_size, draw)
                if crop.std((0, 1)).mean() >= self.detail:
                    break
            cut = [box[0] + place[0], box[1] + place[1], place[2], place[2]]
            yield Record(f"photo_crops_{number:05d}", crop, provenance={"photo": file, "patch": cut})
