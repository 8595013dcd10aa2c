from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adaptgan.data.records import Record
from adaptgan.data.sources.base import Corrupt
from adaptgan.data.sources.folder import ImageFolder
from adaptgan.errors import DataError


def save(path: Path, value: int = 0, size: tuple[int, int] = (6, 5), mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value,) * 3).save(path)


def read(folder: Path, split: str = "train", **options: Any) -> tuple[ImageFolder, list[Record | Corrupt]]:
    source = ImageFolder(str(folder), **options)
    return source, list(source.records(split, 0))


def test_class_folders(tmp_path: Path) -> None:
    for number, name in enumerate(["10/a.png", "9/a.png", "9/deep er/ü.PNG", "9/b.jpg"]):
        save(tmp_path / name, number)
    (tmp_path / "9" / ".hidden.png").write_bytes(b"")
    (tmp_path / "9" / "notes.txt").write_text("no image")
    source, records = read(tmp_path)
    assert source.classes == ("9", "10") and source.total == 4
    assert [(r.label, r.provenance["file"]) for r in records] == [
        (1, "10/a.png"),
        (0, "9/a.png"),
        (0, "9/b.jpg"),
        (0, "9/deep er/ü.PNG"),
    ]
    assert [r.key for r in records] == ["10_a", "9_a", "9_b", "9_deep_er"]
    assert records[0].image.shape == (5, 6)


def test_keys_are_unique_and_short_whatever_the_names(tmp_path: Path) -> None:
    for name in ["a.png", "a.jpg", "a!.png", "x" * 200 + ".png", "é.png"]:
        save(tmp_path / name)
    keys = [record.key for record in read(tmp_path)[1]]
    assert len(set(keys)) == 5 and all(len(key) <= 90 for key in keys) and {"a", "a-2", "image"} <= set(keys)


def test_a_flat_folder_is_unlabelled(tmp_path: Path) -> None:
    save(tmp_path / "b.png")
    save(tmp_path / "a.png")
    source, records = read(tmp_path)
    assert source.classes == () and [(r.key, r.label) for r in records] == [("a", None), ("b", None)]


def test_given_classes_set_the_order(tmp_path: Path) -> None:
    save(tmp_path / "cat" / "a.png")
    save(tmp_path / "dog" / "a.png")
    source, records = read(tmp_path, classes=["dog", "emu", "cat"])
    assert source.classes == ("dog", "emu", "cat") and [r.label for r in records] == [2, 0]
    with pytest.raises(DataError, match="class 'dog' is not one of"):
        read(tmp_path, classes=["dogs", "cat"])


def test_train_and_test_folders(tmp_path: Path) -> None:
    save(tmp_path / "train" / "a.png", 1)
    save(tmp_path / "test" / "b.png", 2)
    assert [r.key for r in read(tmp_path, "test")[1]] == ["b"] and [r.key for r in read(tmp_path)[1]] == ["a"]
    with pytest.raises(DataError, match="no folder for the split 'validation'"):
        read(tmp_path, "validation")


def test_an_undivided_folder_has_no_test_split(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    with pytest.raises(DataError, match="no split 'test'"):
        read(tmp_path, "test")


def metadata(folder: Path, *lines: object) -> None:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / "metadata.jsonl").write_text("\n".join(texts) + "\n")


def test_metadata_gives_labels_and_annotations(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    save(tmp_path / "in" / "b.png")
    metadata(
        tmp_path,
        {"file_name": "in/b.png", "label": "dog", "boxes": [[0, 1, 2, 3]], "provenance": {"by": "me"}},
        {"file_name": "a.png", "label": "cat", "gaze": [0.5, 1]},
    )
    source, (b, a) = read(tmp_path)
    assert source.classes == ("cat", "dog")
    assert (a.label, a.annotations, a.provenance) == (0, {"gaze": [0.5, 1]}, {"file": "a.png"})
    assert (b.label, b.annotations) == (1, {"boxes": [[0, 1, 2, 3]]})
    assert b.provenance == {"file": "in/b.png", "from": {"by": "me"}}


def test_metadata_without_labels_and_with_numbers(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    metadata(tmp_path, {"file_name": "a.png"})
    assert read(tmp_path)[1][0].label is None
    metadata(tmp_path, {"file_name": "a.png", "label": 7})
    assert read(tmp_path)[0].classes == ("7",)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["{"], "line 1: this is not JSON"),
        ([{"label": 1}], "line 1: expected an object with a `file_name`"),
        ([{"file_name": "a.png"}, {"file_name": "../x.png"}], "line 2: ../x.png lies outside"),
        ([{"file_name": "/etc/x.png"}], "lies outside"),
        ([{"file_name": "a.png", "label": [1]}], "line 1: `label` must be"),
        ([{"file_name": "a.png", "label": 1}, {"file_name": "b.png"}], "b.png has no label, a.png has"),
        ([""], "holds no images"),
    ],
)
def test_wrong_metadata_is_named_by_line(tmp_path: Path, lines: list[object], message: str) -> None:
    save(tmp_path / "a.png")
    metadata(tmp_path, *lines)
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_a_link_out_of_the_folder_is_refused_in_metadata(tmp_path: Path) -> None:
    save(tmp_path / "secret.png")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.png").symlink_to(tmp_path / "secret.png")
    metadata(tmp_path / "data", {"file_name": "a.png"})
    with pytest.raises(DataError, match="lies outside"):
        read(tmp_path / "data")


def test_corrupt_images_are_marked_not_raised(tmp_path: Path) -> None:
    save(tmp_path / "good.png")
    whole = (tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("hello")
    results = read(tmp_path)[1]
    assert [item.name for item in results if isinstance(item, Corrupt)] == ["cut.png", "empty.png", "text.jpg"]
    assert all(item.reason for item in results if isinstance(item, Corrupt))
    assert "Pillow" in results[-1].reason  # type: ignore[union-attr]


def test_a_listed_file_that_is_missing_is_marked(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    metadata(tmp_path, {"file_name": "a.png"}, {"file_name": "gone.png"})
    assert read(tmp_path)[1][1] == Corrupt("gone.png", "there is no such file")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda f: None, "holds no images"),
        (lambda f: (f / "empty").mkdir(), "holds no images"),
        (lambda f: (save(f / "a/x.png"), save(f / "b/x.png"), (f / "c").mkdir()), "class folder 'c' holds no images"),
        (lambda f: (save(f / "a/x.png"), save(f / "y.png")), r"class folders \(a\) and beside them \(y.png\)"),
        (lambda f: save(f / "only/x.png"), "one class folder only, 'only'"),
        (lambda f: (save(f / "x.png"), (f / "metadata.csv").write_text("")), "metadata.jsonl only"),
    ],
)
def test_folders_that_make_no_sense(tmp_path: Path, build: Any, message: str) -> None:
    build(tmp_path)
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_missing_folder_and_classes_without_labels(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        read(tmp_path / "none")
    save(tmp_path / "a.png")
    with pytest.raises(DataError, match="have no labels"):
        read(tmp_path, classes=["a"])
    with pytest.raises(DataError, match="one class twice"):
        read(tmp_path, classes=["a", "a"])


def test_lossless_conversions(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    Image.fromarray(pixels).convert("RGBA").save(tmp_path / "alpha.png")
    Image.fromarray(pixels[..., 0] > 99).save(tmp_path / "bits.png")
    palette = Image.fromarray(pixels).quantize(8)
    palette.save(tmp_path / "palette.png")
    alpha, bits, indexed = (record.image for record in read(tmp_path)[1])
    np.testing.assert_array_equal(alpha, pixels)
    np.testing.assert_array_equal(bits, np.where(pixels[..., 0] > 99, 255, 0))
    np.testing.assert_array_equal(indexed, np.asarray(palette.convert("RGB")))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "I;16", "CMYK"])
def test_conversions_with_loss_are_left_to_the_user(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (4, 4)).save(tmp_path / ("a.tif" if mode == "CMYK" else "a.png"))
    with pytest.raises(DataError, match=r"a\.(png|tif): (this image is transparent|images must be of 8 bits)"):
        read(tmp_path)


def test_the_cameras_orientation_is_obeyed(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 4))
    exif = image.getexif()
    exif[0x0112] = 6  # turn right
    image.save(tmp_path / "a.jpg", exif=exif)
    assert read(tmp_path)[1][0].image.shape == (8, 4, 3)
