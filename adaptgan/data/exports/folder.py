"""Export as image files with Hugging Face's metadata.jsonl."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from adaptgan.data.exports.base import class_name, notes
from adaptgan.data.images import encode_png
from adaptgan.data.shards import ShardReader
from adaptgan.data.sources.folder import PAIRED


class ImageFolderExporter:
    """PNG files, in class subfolders when there are labels, and metadata.jsonl with labels, annotations, provenance.

    Paired images go to a folder of their own: then all images are under `images`, and what belongs to each under
    `paired`, with the same name.

    `datasets.load_dataset(folder)` reads it, and so does the `image_folder` data set of adaptgan.
    """

    def export(self, reader: ShardReader, folder: Path) -> None:
        """Write a data set into an existing empty folder."""
        classes = reader.manifest.classes
        (folder / "README.md").write_text(_HEADER, encoding="utf-8")
        names = _folder_names(classes)
        with (folder / "metadata.jsonl").open("w", encoding="utf-8") as metadata:
            for record in reader.records():
                place = f"{record.key}.png" if record.label is None else f"{names[record.label]}/{record.key}.png"
                line = {"file_name": place, "label": class_name(record, classes), **notes(record)}
                if record.paired is not None:
                    line |= {"file_name": f"images/{place}", PAIRED: f"paired/{place}"}
                    _write(folder / line[PAIRED], record.paired)
                _write(folder / line["file_name"], record.image)
                if record.label is None:
                    del line["label"]
                metadata.write(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n")


_HEADER = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: ["metadata.jsonl", "**/*.png"]
---
"""
"""Without it, `datasets` guesses the split from words such as `test` in file names, and may miss metadata.jsonl."""


def _write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(encode_png(image))


def _folder_names(classes: tuple[str, ...]) -> list[str]:
    """A folder for each class: its name made safe, numbered where two would share one."""
    names: list[str] = []
    for name in classes:
        safe = re.sub(r"[^\w.-]+", "_", name).strip(".") or "class"
        names.append(safe if safe not in names else f"{safe}-{len(names)}")
    return names
