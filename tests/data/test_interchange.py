"""Other people's libraries read the shards unchanged, offline."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adaptgan.data.records import Record
from adaptgan.data.shards import ShardWriter, iter_records


def hugging_face(folder: Path, cache: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their own
        import datasets

        datasets.disable_progress_bars()
        return datasets.load_dataset(str(folder), split="train", cache_dir=str(cache))


def test_hugging_face_datasets(tiny_source: Path, tmp_path: Path) -> None:
    loaded = hugging_face(tiny_source, tmp_path)
    assert len(loaded) == 120
    for row, record in zip(loaded, iter_records(tiny_source), strict=True):
        assert row["__key__"] == record.key and row["json"]["label"] == record.label
        assert row["json"]["provenance"] == record.provenance
        np.testing.assert_array_equal(np.asarray(row["png"]), record.image)


def test_hugging_face_sees_no_label_column_in_a_sealed_set(tiny_target: Path, tmp_path: Path) -> None:
    loaded = hugging_face(tiny_target, tmp_path)
    assert len(loaded) == 120 and set(loaded.features["json"]) == {"sealed"}


def test_hugging_face_takes_annotations_that_come_late_or_change_type(tmp_path: Path) -> None:
    # Its own guess from the first five records fails on these.
    extras: list[dict[str, Any]] = [{}] * 6 + [{"gaze": [0, 1]}, {"gaze": [0.5, 1.5]}, {"caption": "x"}, {"boxes": []}]
    extras += [{"boxes": [[1, 2, 3, 4]], "objects": {"bbox": [[1, 2, 3, 4]], "categories": [3]}}]
    folder = tmp_path / "data"
    folder.mkdir()
    with ShardWriter(folder, ["a"]) as writer:
        for number, annotations in enumerate(extras):
            writer.write(Record(f"r{number}", np.full((4, 4, 3), number, np.uint8), 0, annotations))
    loaded = hugging_face(folder, tmp_path / "cache")
    rows = [row["json"]["annotations"] for row in loaded]
    assert rows[7]["gaze"] == [0.5, 1.5] and rows[8]["caption"] == "x" and rows[10]["boxes"] == [[1, 2, 3, 4]]
    assert rows[10]["objects"] == {"bbox": [[1, 2, 3, 4]], "categories": [3]}


def test_no_features_are_promised_where_arrow_has_no_type(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, ["a"]) as writer:
        for number, value in enumerate(["text", 5]):
            writer.write(Record(f"r{number}", np.zeros((4, 4), np.uint8), 0, {"mixed": value}))
    assert "dataset_info" not in (tmp_path / "README.md").read_text()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves the tar open
def test_webdataset(tiny_source: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import webdataset

        urls = sorted(str(path) for path in tiny_source.glob("*.tar"))
        samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode())
        raw = list(webdataset.WebDataset(urls, shardshuffle=False))
    assert len(samples) == 120
    for sample, plain, record in zip(samples, raw, iter_records(tiny_source), strict=True):
        assert sample["__key__"] == record.key and sample["json"]["label"] == record.label
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(plain["png"]))), record.image)
