from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

import adaptgan
from adaptgan.data.manifest import Manifest
from adaptgan.data.records import Record
from adaptgan.data.shards import iter_records
from adaptgan.errors import DataError, ParamsError
from adaptgan.params import load
from adaptgan.stages.base import Stage
from adaptgan.stages.ingest import drawn, ingest


def run(tmp_path: Path, section: dict[str, Any], split: str = "train", out: str = "out", seed: int = 0) -> Stage:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({"seed": seed, "source": section, "tracking": {"enabled": False}}))
    return ingest(load(path), "source", tmp_path / out, split)


def photos(folder: Path, count: int = 4, size: tuple[int, int] = (8, 6), mode: str = "L") -> dict[str, Any]:
    for number in range(count):
        path = folder / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, number if mode == "L" else (number, 0, 0)).save(path)
    return {"name": "image_folder", "folder": str(folder)}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_rendered_digits_are_byte_identical_on_repeat(tmp_path: Path) -> None:
    section = {"dataset": {"name": "rendered_digits", "count": 30}, "shard_size": 20}
    stage = run(tmp_path, section)
    first = contents(tmp_path / "out")
    run(tmp_path, section)
    assert contents(tmp_path / "out") == first and "000001.tar" in first
    run(tmp_path, section, seed=1)
    assert contents(tmp_path / "out")["000000.tar"] != first["000000.tar"]
    assert stage.results["records"] == 30 and stage.results["image"] == "32x32 L" and stage.results["corrupt"] == 0


def test_origin_tells_where_it_came_from(tmp_path: Path, scratch_folder: Path) -> None:
    stage = run(tmp_path, {"dataset": "handwriting", "limit": 5, "labels": "sealed"}, "test")
    manifest = Manifest.read(tmp_path / "out")
    assert manifest.labels == "sealed" and manifest.count == 5
    assert manifest.origin["dataset"] == {"name": "handwriting", "image_size": 32, "annotate": []}
    assert manifest.origin["split"] == "test" and manifest.origin["limit"] == 5
    assert manifest.origin["versions"] == {"adaptgan": adaptgan.__version__}
    assert stage.results["digest"] == manifest.digest
    cost = json.loads((scratch_folder / "stages" / "ingest-source:test.json").read_text())
    assert cost["stage"] == "ingest source:test" and cost["results"]["records"] == 5


def test_size_and_mode_convert_images_and_annotations(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (8, 8), (255, 0, 0)).save(folder / "a.png")
    Image.new("L", (16, 16), 255).save(folder / "b.png")
    lines = [{"file_name": "a.png", "boxes": [[1, 2, 3, 4]]}, {"file_name": "b.png", "boxes": [[4, 4, 8, 8]]}]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    run(tmp_path, {"dataset": {"name": "image_folder", "folder": str(folder)}, "size": [4, 8], "mode": "L"})
    a, b = iter_records(tmp_path / "out")
    assert a.image.shape == b.image.shape == (4, 8)
    assert a.image[0, 0] == 76 and b.image[0, 0] == 255  # 0.299 * 255
    assert a.annotations["boxes"] == [[1, 1, 3, 2]] and b.annotations["boxes"] == [[2, 1, 4, 2]]


def test_mixed_sizes_and_modes_name_files_and_the_option(tmp_path: Path) -> None:
    dataset = photos(tmp_path / "photos")
    Image.new("L", (9, 6)).save(tmp_path / "photos" / "b" / "x.png")
    with pytest.raises(DataError, match=r"a/0\.png is 6x8, b/x\.png is 6x9 .*source\.size: \[6, 8\]"):
        run(tmp_path, {"dataset": dataset})
    run(tmp_path, {"dataset": dataset, "size": [6, 8]})
    Image.new("RGB", (8, 6)).save(tmp_path / "photos" / "b" / "x.png")
    with pytest.raises(DataError, match=r"a/0\.png is L, b/x\.png is RGB.*source\.mode"):
        run(tmp_path, {"dataset": dataset})
    run(tmp_path, {"dataset": dataset, "mode": "RGB"})
    assert Manifest.read(tmp_path / "out").count == 5


def test_corrupt_images_go_to_quarantine_by_name(tmp_path: Path, scratch_folder: Path) -> None:
    dataset = photos(tmp_path / "photos", 9)
    (tmp_path / "photos" / "a" / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    run(tmp_path, {"dataset": dataset, "max_corrupt": 0.1})
    manifest = Manifest.read(tmp_path / "out")
    assert manifest.count == 9
    (entry,) = manifest.origin["corrupt"]
    assert entry["name"] == "a/cut.png" and entry["reason"]
    listing = scratch_folder / "quarantine" / "source" / "corrupt.jsonl"
    assert [json.loads(line) for line in listing.read_text().splitlines()] == [entry]
    (tmp_path / "photos" / "a" / "cut.png").unlink()
    run(tmp_path, {"dataset": dataset})
    assert not listing.exists()


def test_too_many_corrupt_images_stop_it_and_keep_what_was_there(tmp_path: Path) -> None:
    dataset = photos(tmp_path / "photos", 8)
    run(tmp_path, {"dataset": dataset})
    before = contents(tmp_path / "out")
    for number in range(5):
        (tmp_path / "photos" / "a" / f"bad{number}.png").write_text("x")
    with pytest.raises(DataError) as caught:
        run(tmp_path, {"dataset": dataset})
    text = str(caught.value)
    assert "5 of 13" in text and "38.46%" in text and "source.max_corrupt allows 0.10%" in text
    assert "a/bad0.png" in text and "a/bad2.png" in text and "and 2 more" in text
    assert contents(tmp_path / "out") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [".adaptgan", "out", "params.yaml", "photos"]


def test_nothing_but_corrupt_images_is_an_error_at_any_tolerance(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.png").write_text("x")
    with pytest.raises(DataError, match="1 of 1 images could not be read"):
        run(tmp_path, {"dataset": {"name": "image_folder", "folder": str(folder)}, "max_corrupt": 1.0})
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_data_set_is_never_replaced(tmp_path: Path) -> None:
    keep = tmp_path / "out" / "holiday.jpg"
    keep.parent.mkdir()
    keep.write_text("mine")
    with pytest.raises(DataError, match="no data set"):
        run(tmp_path, {"dataset": {"name": "rendered_digits", "count": 10}})
    assert keep.read_text() == "mine"


def test_a_failing_source_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from adaptgan.data.sources.rendered import RenderedDigits

    def broken(self: RenderedDigits, split: str, seed: int) -> Iterator[Any]:
        yield self._record(0, split, seed)
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(RenderedDigits, "records", broken)
    with pytest.raises(OSError, match="No space"):
        run(tmp_path, {"dataset": "rendered_digits"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["params.yaml"]


def test_wrong_options_name_their_path(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"source\.dataset\.cuont: .*'count'"):
        run(tmp_path, {"dataset": {"name": "rendered_digits", "cuont": 10}})
    with pytest.raises(ParamsError, match=r"source\.dataset: unknown dataset 'rendered_digit'.*'rendered_digits'"):
        run(tmp_path, {"dataset": "rendered_digit"})


def test_classes_of_a_plain_copy_stay(tmp_path: Path, tiny_source: Path) -> None:
    run(tmp_path, {"dataset": {"name": "shards", "folder": str(tiny_source)}, "limit": 7})
    dataset = adaptgan.load_dataset(tmp_path / "out")
    assert dataset.labels_N.tolist() == list(range(7)) and len(dataset.classes) == 10
    np.testing.assert_array_equal(dataset.images_NCHW, adaptgan.load_dataset(tiny_source).images_NCHW[:7])


def labels_and_keys(folder: Path) -> tuple[list[int], list[str]]:
    dataset = adaptgan.load_dataset(folder)
    return dataset.labels_N.tolist(), dataset.keys


def test_per_class_draws_as_many_of_each_class_and_the_seed_is_the_draw(tmp_path: Path) -> None:
    section = {"dataset": {"name": "handwriting", "image_size": 28}, "per_class": 2}
    stage = run(tmp_path, section)
    labels, keys = labels_and_keys(tmp_path / "out")
    assert sorted(labels) == [k for k in range(10) for _ in range(2)] and stage.results["records"] == 20
    assert keys == sorted(keys) and keys[-1] > "handwriting_1000"  # in the order they came, from all of the 4,000
    assert Manifest.read(tmp_path / "out").origin["per_class"] == 2
    again = contents(tmp_path / "out")
    run(tmp_path, section)
    assert contents(tmp_path / "out") == again
    run(tmp_path, section, seed=1)
    assert not set(keys) & set(labels_and_keys(tmp_path / "out")[1])  # true of these seeds: 2 of 400 a class


def test_a_draw_depends_on_keys_alone_and_a_larger_one_contains_it(tmp_path: Path) -> None:
    dataset = photos(tmp_path / "photos", 40)
    run(tmp_path, {"dataset": dataset, "per_class": 3})
    few = set(labels_and_keys(tmp_path / "out")[1])
    run(tmp_path, {"dataset": dataset, "per_class": 8})
    assert few < set(labels_and_keys(tmp_path / "out")[1])
    drawn_files = {record.provenance["file"] for record in iter_records(tmp_path / "out")}
    others = [
        path for path in (tmp_path / "photos").rglob("*.png") if f"{path.parent.name}/{path.name}" not in drawn_files
    ]
    for path in others:
        path.unlink()
    run(tmp_path, {"dataset": dataset, "per_class": 3})
    assert set(labels_and_keys(tmp_path / "out")[1]) == few


def test_every_record_of_a_class_is_drawn_about_as_often() -> None:
    """Over 60 seeds, 2 of 10 records: each comes 12 times in the mean, with a standard deviation of 3.1."""
    records = [Record(f"r{number}", np.zeros((2, 2), np.uint8), 0) for number in range(10)]
    counts = Counter(record.key for seed in range(60) for record in drawn(records, 2, ["a"], seed, "source"))
    assert len(counts) == 10 and all(2 < count < 23 for count in counts.values())


def test_per_class_without_labels_or_with_too_few_says_so(tmp_path: Path, tiny_source: Path) -> None:
    dataset = photos(tmp_path / "photos", 5)  # 3 of a, 2 of b
    with pytest.raises(DataError, match=r"source\.per_class: 3 records .* class 'b' has 2\. .*per_class to 2 or less"):
        run(tmp_path, {"dataset": dataset, "per_class": 3})
    assert not (tmp_path / "out").exists()
    flat = tmp_path / "flat"
    flat.mkdir()
    Image.new("L", (8, 6)).save(flat / "x.png")
    with pytest.raises(DataError, match=r"source\.per_class: 1 records .* x\w* has no label.*source\.limit"):
        run(tmp_path, {"dataset": {"name": "image_folder", "folder": str(flat)}, "per_class": 1})
    with pytest.raises(DataError, match=r"class '7' has 0, '8' has 0, '9' has 0\. Bring more"):
        run(tmp_path, {"dataset": {"name": "shards", "folder": str(tiny_source)}, "limit": 7, "per_class": 1})
    with pytest.raises(ParamsError, match=r"source\.per_class"):
        run(tmp_path, {"dataset": dataset, "per_class": 0})


def test_corrupt_images_are_judged_against_all_that_were_read(tmp_path: Path) -> None:
    dataset = photos(tmp_path / "photos", 30)
    (tmp_path / "photos" / "a" / "cut.png").write_bytes(b"\x89PNG")
    run(tmp_path, {"dataset": dataset, "per_class": 1, "max_corrupt": 0.04})
    assert Manifest.read(tmp_path / "out").count == 2


def pairs(folder: Path, other: tuple[int, int] = (8, 8), modes: tuple[str, str] = ("L", "RGB")) -> dict[str, Any]:
    """Two images of 8×8 and their pairs."""
    for number in range(2):
        for name, size, mode in (("A", (8, 8), modes[0]), ("B", other, modes[1])):
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.new(mode, size, "white").save(folder / name / f"{number}.png")
    return {"name": "image_folder", "folder": str(folder / "A"), "paired": str(folder / "B")}


def test_pairs_are_brought_in_resized_and_converted(tmp_path: Path) -> None:
    dataset = pairs(tmp_path / "photos", other=(16, 16))
    with pytest.raises(DataError, match=r"0.png is 8x8, its paired image 16x16 .*source.size: \[8, 8\]"):
        run(tmp_path, {"dataset": dataset})
    stage = run(tmp_path, {"dataset": dataset, "size": [4, 6]})
    assert (stage.results["image"], stage.results["paired"]) == ("4x6 L", "4x6 RGB")
    # `mode` is the first image's, `paired_mode` the other's.
    for options, expected in (
        ({"mode": "RGB"}, ("RGB", "RGB")),
        ({"mode": "L"}, ("L", "RGB")),
        ({"paired_mode": "L"}, ("L", "L")),
        ({"mode": "RGB", "paired_mode": "L"}, ("RGB", "L")),
    ):
        run(tmp_path, {"dataset": dataset, "size": [4, 6], **options})
        manifest = Manifest.read(tmp_path / "out")
        assert manifest.image is not None and manifest.paired is not None
        assert (manifest.image.mode, manifest.paired.mode) == expected
        assert {name: manifest.origin.get(name) for name in options} == options
        for record in iter_records(tmp_path / "out"):
            assert record.paired is not None and record.image.min() == record.paired.min() == 255


def test_pairs_of_mixed_modes_and_an_option_for_none(tmp_path: Path) -> None:
    dataset = pairs(tmp_path / "photos")
    Image.new("L", (8, 8)).save(tmp_path / "photos" / "B" / "1.png")
    with pytest.raises(DataError, match=r"paired images of mixed modes: 0.png is RGB, 1.png is L.*paired_mode: L"):
        run(tmp_path, {"dataset": dataset})
    run(tmp_path, {"dataset": dataset, "paired_mode": "RGB"})
    with pytest.raises(DataError, match=r"paired_mode: 0.png has no paired image"):
        run(tmp_path, {"dataset": {**dataset, "paired": None}, "paired_mode": "L"})


def test_a_paired_set_of_ours_is_ingested_again_with_its_pairs(tmp_path: Path) -> None:
    run(tmp_path, {"dataset": pairs(tmp_path / "photos")}, out="first")
    run(tmp_path, {"dataset": {"name": "shards", "folder": str(tmp_path / "first")}}, out="second")
    first, second = (Manifest.read(tmp_path / name) for name in ("first", "second"))
    assert first.digest == second.digest and second.paired is not None
