"""Export as image files with Hugging Face's metadata.jsonl."""

from __future__ import annotations

import json
import re
from pathlib import Path

from adaptgan.data.exports.base import class_name, notes
from adaptgan.data.images import encode_png
from adaptgan.data.shards import ShardReader


class ImageFolderExporter:
    """PNG files, in class subfolders when there are labels, and metadata.jsonl with labels, annotations, provenance.

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
                path = folder / place
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(encode_png(record.image))
                line = {"file_name": place, "label": class_name(record, classes), **notes(record)}
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


def _folder_names(classes: tuple[str, ...]) -> list[str]:
    """A folder for each class: its name made safe, numbered where two would share one."""
    names: list[str] = []
    for name in classes:
        safe = re.sub(r"[^\w.-]+", "_", name).strip(".") or "class"
        names.append(safe if safe not in names else f"{safe}-{len(names)}")
    return names
