"""The baseline of copying: every pixel of a map in the mean colour of its class.

    python pipelines/spade_shapes/painted.py --colours data/spade_shapes/train --maps data/spade_shapes/test --out …

The colours are those of the data set `--colours`; labels and annotations of `--maps` are kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from adaptgan.data.dataset import ShardDataset
from adaptgan.data.masks import decode
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardWriter, iter_records
from adaptgan.files import staged


def main() -> None:
    """Measure the colours, paint the maps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("colours", "maps", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    colours_KC = mean_colours(ShardDataset(options.colours))
    maps = ShardDataset(options.maps)
    origin = {"source": maps.digest, "colours": colours_KC.tolist()}
    with staged(options.out) as folder, ShardWriter(folder, maps.classes, origin=origin) as writer:
        for record in iter_records(options.maps):
            mask_HW, _ = decode(record.annotations["mask"])
            provenance = {**record.provenance, "source_key": record.key}
            writer.write(Record(record.key, colours_KC[mask_HW], record.label, record.annotations, provenance))


def mean_colours(data: ShardDataset) -> np.ndarray:
    """The mean colour of each class of pixels, uint8 (K, 3); black where a class is nowhere."""
    masks_NHW, classes = data.targets("segmentation"), data.info_for("segmentation").classes
    sums_KC = np.zeros((len(classes), data.info.channels))
    for channel in range(data.info.channels):
        sums_KC[:, channel] = np.bincount(
            masks_NHW.ravel(), data.images_NCHW[:, channel].ravel().astype(np.float64), len(classes)
        )
    counts_K1 = np.bincount(masks_NHW.ravel(), minlength=len(classes))[:, None]
    return (sums_KC / np.maximum(1, counts_K1)).round().astype(np.uint8)


if __name__ == "__main__":
    main()
