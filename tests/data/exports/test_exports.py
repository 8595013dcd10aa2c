from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adaptgan.data.masks import encode
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardWriter, iter_records
from adaptgan.data.sources.folder import ImageFolder
from adaptgan.errors import ComponentError, DataError
from adaptgan.stages.export import export


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    """Three colour records: boxes with categories, keypoints, and a label alone."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "annotated"
    folder.mkdir()
    annotations: list[dict[str, Any]] = [
        {"objects": {"bbox": [[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 2.0, 2.0]], "categories": ["eye", "b/c"]}},
        {"keypoints": [[1.0, 2.0], [3.0, 4.0]], "boxes": [[1.0, 1.0, 4.0, 4.0]]},
        {},
    ]
    with ShardWriter(folder, ["a", "b/c"]) as writer:
        for number, notes in enumerate(annotations):
            image = rng.integers(0, 256, (8, 9, 3), np.uint8)
            writer.write(Record(f"r{number}", image, number % 2, notes, {"n": number}))
    return folder


def hugging_face(cache: Path, *arguments: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their own
        import datasets

        datasets.disable_progress_bars()
        return datasets.load_dataset(*arguments, split="train", cache_dir=str(cache), **options)


def test_image_folder_is_read_back_the_same(annotated: Path, tmp_path: Path) -> None:
    assert export(annotated, "image_folder", tmp_path / "out") == 3
    source = ImageFolder(str(tmp_path / "out"))
    back = {record.provenance["from"]["n"]: record for record in source.records("train", 0)}  # type: ignore[union-attr]
    assert source.classes == ("a", "b/c")
    for number, record in enumerate(iter_records(annotated)):
        np.testing.assert_array_equal(back[number].image, record.image)
        assert back[number].label == record.label and back[number].annotations == record.annotations


def test_a_class_name_never_becomes_a_path(annotated: Path, tmp_path: Path) -> None:
    export(annotated, "image_folder", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["README.md", "a", "b_c", "metadata.jsonl"]


def test_hugging_face_reads_the_image_folder(tiny_source: Path, tmp_path: Path) -> None:
    export(tiny_source, "image_folder", tmp_path / "out")
    rows = hugging_face(tmp_path / "cache", str(tmp_path / "out"))
    records = list(iter_records(tiny_source))
    assert [row["label"] for row in rows] == [str(record.label) for record in records]
    np.testing.assert_array_equal(np.asarray(rows[5]["image"]), records[5].image)
    assert rows[5]["provenance"]["font"] == records[5].provenance["font"]


def test_hugging_face_shows_parquet_images_and_classes(annotated: Path, tmp_path: Path) -> None:
    export(annotated, "parquet", tmp_path / "out")
    rows = hugging_face(tmp_path / "cache", "parquet", data_dir=str(tmp_path / "out" / "data"))
    assert rows.features["label"].names == ["a", "b/c"]
    for row, record in zip(rows, iter_records(annotated), strict=True):
        np.testing.assert_array_equal(np.asarray(row["image"]), record.image)
        assert (row["label"], row["key"]) == (record.label, record.key)
        assert json.loads(row["annotations"]) == record.annotations
        assert json.loads(row["provenance"]) == record.provenance


def test_parquet_in_several_files(tiny_source: Path, tmp_path: Path) -> None:
    from adaptgan.data.exports.parquet import ParquetExporter
    from adaptgan.data.shards import ShardReader

    ParquetExporter(records_per_file=50).export(ShardReader(tiny_source), tmp_path)
    names = [path.name for path in sorted((tmp_path / "data").iterdir())]
    assert names == [f"train-0000{number}-of-00003.parquet" for number in range(3)]


def test_coco(annotated: Path, tmp_path: Path) -> None:
    export(annotated, "coco", tmp_path / "out")
    tree = json.loads((tmp_path / "out" / "annotations.json").read_text())
    names = {category["id"]: category["name"] for category in tree["categories"]}
    assert sorted(names) == [1, 2, 3] and set(names.values()) == {"a", "b/c", "eye"}
    assert [image["file_name"] for image in tree["images"]] == ["r0.png", "r1.png", "r2.png"]
    for image, record in zip(tree["images"], iter_records(annotated), strict=True):
        assert (image["width"], image["height"]) == (9, 8)
        np.testing.assert_array_equal(
            np.asarray(Image.open(tmp_path / "out" / "images" / image["file_name"])), record.image
        )
    boxes = [(item["image_id"], names[item["category_id"]], item["bbox"]) for item in tree["annotations"]]
    assert boxes == [
        (1, "eye", [1, 2, 3, 4]),
        (1, "b/c", [0, 0, 2, 2]),
        (2, "b/c", [1, 1, 4, 4]),
        (3, "a", [0, 0, 9, 8]),  # a label without boxes is the whole image
    ]
    assert tree["annotations"][2]["keypoints"] == [1, 2, 2, 3, 4, 2] and tree["annotations"][2]["num_keypoints"] == 2
    assert [item["id"] for item in tree["annotations"]] == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", ["image_folder", "parquet", "coco"])
def test_sealed_labels_do_not_get_out(tiny_target: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    assert export(tiny_target, kind, out) == 120
    if kind == "coco":
        assert json.loads((out / "annotations.json").read_text())["annotations"] == []
    elif kind == "image_folder":
        assert all(set(json.loads(line)) == {"file_name"} for line in (out / "metadata.jsonl").read_text().splitlines())
    else:
        from pyarrow import parquet

        table = parquet.read_table(next((out / "data").iterdir()))
        assert table["label"].null_count == 120 and set(table["provenance"].to_pylist()) == {"{}"}


def test_a_folder_with_something_in_it_is_left_alone(annotated: Path, tmp_path: Path) -> None:
    keep = tmp_path / "out" / "photo.png"
    keep.parent.mkdir()
    keep.write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        export(annotated, "coco", keep.parent)
    assert keep.read_text() == "mine"
    with pytest.raises(ComponentError, match="'coco'"):
        export(annotated, "cocoa", tmp_path / "new")


def test_coco_writes_masks_as_run_lengths(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    digit, scene = np.zeros((6, 8), np.uint8), np.zeros((6, 8), np.uint8)
    digit[1:4, 2:5] = 1
    scene[0, 0], scene[5, 3:6] = 1, 3
    with ShardWriter(tmp_path / "set", ["zero", "one"]) as writer:
        image = np.zeros((6, 8), np.uint8)
        writer.write(Record("r0", image, 1, {"mask": encode(digit, ("background", "digit"))}))
        writer.write(Record("r1", image, 1, {"mask": encode(scene, ("background", "sky", "sea", "sand"))}))
        writer.write(Record("r2", image, 1, {"mask": encode(digit * 0, ("background", "digit"))}))
    export(tmp_path / "set", "coco", tmp_path / "out")
    tree = json.loads((tmp_path / "out" / "annotations.json").read_text())
    names = {category["id"]: category["name"] for category in tree["categories"]}
    found = [(item["image_id"], names[item["category_id"]], item["bbox"], item["area"]) for item in tree["annotations"]]
    assert found == [
        (1, "one", [2, 1, 3, 3], 9),  # the label, where there is nothing else in the mask
        (2, "sky", [0, 0, 1, 1], 1),
        (2, "sand", [3, 5, 3, 1], 3),
        (3, "one", [0, 0, 8, 6], 48),  # an empty mask: the whole image, as without one
    ]
    for item, mask in zip(tree["annotations"], (digit == 1, scene == 1, scene == 3), strict=False):
        assert item["segmentation"]["size"] == [6, 8]
        runs = item["segmentation"]["counts"]
        filled = np.repeat([number % 2 for number in range(len(runs))], runs).reshape(8, 6).T
        np.testing.assert_array_equal(filled == 1, mask)


@pytest.fixture(params=["labelled", "bare"])
def paired(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Four grey records with colour pairs."""
    draw = np.random.default_rng(0)
    folder = tmp_path / "paired"
    folder.mkdir()
    with ShardWriter(folder, ["a", "b"] if request.param == "labelled" else []) as writer:
        for number in range(4):
            image, other = draw.integers(0, 256, (8, 9), np.uint8), draw.integers(0, 256, (8, 9, 3), np.uint8)
            label = number % 2 if request.param == "labelled" else None
            writer.write(Record(f"r{number}", image, label, {}, {"n": number}, other))
    return folder


def test_pairs_go_out_as_image_files_and_come_back(paired: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(paired, "image_folder", out)
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "images", "metadata.jsonl", "paired"]
    by_metadata = list(ImageFolder(str(out)).records("train", 0))
    by_folders = list(ImageFolder(str(out / "images"), paired=str(out / "paired")).records("train", 0))
    rows = hugging_face(tmp_path / "cache", str(out))
    assert len(rows) == len(by_folders) == 4
    shown = {row["provenance"]["n"]: row for row in rows}
    for number, (record, back) in enumerate(zip(iter_records(paired), by_metadata, strict=True)):
        assert isinstance(back, Record) and back.label == record.label
        for one, other in ((back.image, record.image), (back.paired, record.paired)):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(np.asarray(shown[number]["image"]), record.image)
        np.testing.assert_array_equal(np.asarray(shown[number]["paired"]), record.paired)
    found = {one.provenance["file"].split("/")[-1]: one for one in by_folders if isinstance(one, Record)}
    for record in iter_records(paired):
        np.testing.assert_array_equal(found[f"{record.key}.png"].paired, record.paired)


def test_pairs_go_out_as_parquet_and_coco(paired: Path, tmp_path: Path) -> None:
    export(paired, "parquet", tmp_path / "out")
    rows = hugging_face(tmp_path / "cache", "parquet", data_dir=str(tmp_path / "out" / "data"))
    export(paired, "coco", tmp_path / "coco")
    names = [entry["file_name"] for entry in json.loads((tmp_path / "coco" / "annotations.json").read_text())["images"]]
    for row, record, name in zip(rows, iter_records(paired), names, strict=True):
        np.testing.assert_array_equal(np.asarray(row["paired"]), record.paired)
        np.testing.assert_array_equal(np.asarray(row["image"]), record.image)
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "coco" / "paired" / name)), record.paired)


def test_without_pairs_nothing_tells_of_them(annotated: Path, tmp_path: Path) -> None:
    for kind in ("image_folder", "parquet", "coco"):
        export(annotated, kind, tmp_path / kind)
        assert not (tmp_path / kind / "paired").exists()
    from pyarrow import parquet

    assert "paired" not in parquet.read_schema(next((tmp_path / "parquet" / "data").iterdir())).names
