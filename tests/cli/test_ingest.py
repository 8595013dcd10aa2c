"""Bad inputs on the command line: one clear message, a non-zero status, no traceback, the previous output intact."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from adaptgan.data.manifest import Manifest

Cli = Callable[..., tuple[int, str, str]]


def image(path: Path, size: tuple[int, int] = (8, 8), mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path)


def params(tmp_path: Path, dataset: Any, **options: Any) -> Path:
    path = tmp_path / "params.yaml"
    tree = {"source": {"dataset": dataset, **options}, "tracking": {"enabled": False}}
    path.write_text(yaml.safe_dump(tree))
    return path


def folder(tmp_path: Path) -> dict[str, Any]:
    return {"name": "image_folder", "folder": str(tmp_path / "photos")}


def empty(tmp_path: Path) -> Any:
    (tmp_path / "photos").mkdir()
    return folder(tmp_path)


def corrupt(tmp_path: Path) -> Any:
    image(tmp_path / "photos" / "a.png")
    (tmp_path / "photos" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\njunk")
    return folder(tmp_path)


def sizes(tmp_path: Path) -> Any:
    image(tmp_path / "photos" / "a.png")
    image(tmp_path / "photos" / "b.png", (9, 9))
    return folder(tmp_path)


def modes(tmp_path: Path) -> Any:
    image(tmp_path / "photos" / "a.png")
    image(tmp_path / "photos" / "b.png", mode="RGB")
    return folder(tmp_path)


def one_class(tmp_path: Path) -> Any:
    image(tmp_path / "photos" / "only" / "a.png")
    return folder(tmp_path)


def empty_class(tmp_path: Path) -> Any:
    for name in ("cat/a.png", "dog/a.png"):
        image(tmp_path / "photos" / name)
    (tmp_path / "photos" / "emu").mkdir()
    return folder(tmp_path)


def half_labelled(tmp_path: Path) -> Any:
    image(tmp_path / "photos" / "a.png")
    image(tmp_path / "photos" / "b.png")
    (tmp_path / "photos" / "metadata.jsonl").write_text(
        '{"file_name": "a.png", "label": "x"}\n{"file_name": "b.png"}\n'
    )
    return folder(tmp_path)


def torchvision_without_files(tmp_path: Path) -> Any:
    return {"name": "torchvision", "dataset": "MNIST", "root": str(tmp_path / "none")}


def no_tars(tmp_path: Path) -> Any:
    (tmp_path / "photos").mkdir()
    return {"name": "shards", "folder": str(tmp_path / "photos")}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (empty, ["photos: this folder holds no images"]),
        (folder, ["photos: there is no such folder", "dataset.folder"]),
        (corrupt, ["broken.png", "1 of 2", "source.max_corrupt"]),
        (sizes, ["mixed sizes", "a.png is 8x8", "b.png is 9x9", "source.size: [8, 8]"]),
        (modes, ["mixed modes", "a.png is L", "b.png is RGB", "source.mode"]),
        (one_class, ["one class folder only, 'only'"]),
        (empty_class, ["class folder 'emu' holds no images"]),
        (half_labelled, ["b.png has no label"]),
        (torchvision_without_files, ["MNIST", "train-images-idx3-ubyte", "dataset.download: true"]),
        (no_tars, ["holds no .tar files"]),
        (lambda _: "rendered_digit", ["source.dataset", "'rendered_digit'", "'rendered_digits'"]),
        (lambda _: {"name": "rendered_digits", "fotns": "both"}, ["source.dataset.fotns", "'fonts'"]),
        (lambda _: {"name": "rendered_digits", "count": "many"}, ["source.dataset.count", "many"]),
        (lambda _: {"name": "rendered_digits", "height": [0.9, 0.2]}, ["height must be"]),
    ],
)
def test_bad_input(tmp_path: Path, run_cli: Cli, make: Callable[[Path], Any], words: list[str]) -> None:
    out = tmp_path / "out"
    good = params(tmp_path, {"name": "rendered_digits", "count": 10})
    assert run_cli("ingest", "source", "--out", out, "--params", good)[0] == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    code, _, err = run_cli("ingest", "source", "--out", out, "--params", params(tmp_path, make(tmp_path)))
    assert code in (1, 2)
    assert err.startswith("adaptgan: ") and err.count("adaptgan: ") == 1 and "Traceback" not in err
    for word in words:
        assert word in err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert not [path.name for path in tmp_path.iterdir() if path.name.endswith((".tmp", ".old"))]


def test_a_corrupt_image_is_allowed_when_told_so(tmp_path: Path, run_cli: Cli, scratch_folder: Path) -> None:
    path = params(tmp_path, corrupt(tmp_path))
    code, _, err = run_cli(
        "ingest", "source", "--out", tmp_path / "out", "--params", path, "--set", "source.max_corrupt=0.5"
    )
    assert (code, err) == (0, "")
    manifest = Manifest.read(tmp_path / "out")
    assert manifest.count == 1 and manifest.origin["corrupt"][0]["name"] == "broken.png"
    assert "broken.png" in (scratch_folder / "quarantine" / "source" / "corrupt.jsonl").read_text()


def test_a_full_disk_says_so(tmp_path: Path, run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from adaptgan.data.tar import TarWriter

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device", str(tmp_path / "out" / "000000.tar"))

    monkeypatch.setattr(TarWriter, "add", full)
    path = params(tmp_path, {"name": "rendered_digits", "count": 10})
    code, _, err = run_cli("ingest", "source", "--out", tmp_path / "out", "--params", path)
    assert code == 1 and "disk is full" in err and "Traceback" not in err and not (tmp_path / "out").exists()


def test_the_test_split(tmp_path: Path, run_cli: Cli) -> None:
    path = params(tmp_path, "handwriting", limit=20)
    assert run_cli("ingest", "source", "--split", "test", "--out", tmp_path / "out", "--params", path)[0] == 0
    assert Manifest.read(tmp_path / "out").origin["split"] == "test"
    code, _, err = run_cli("ingest", "source", "--split", "tset", "--out", tmp_path / "out", "--params", path)
    assert code == 1 and "no split 'tset'" in err and "'test'" in err


def test_ones_own_photos_end_to_end(tmp_path: Path, run_cli: Cli) -> None:
    rng = np.random.default_rng(0)
    for number in range(6):
        target = tmp_path / "photos" / ("cat" if number % 2 else "dog") / f"{number}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20 + number, 30, 3), np.uint8)).save(target)
    path = params(tmp_path, folder(tmp_path), size=[16, 16])
    assert run_cli("ingest", "source", "--out", tmp_path / "out", "--params", path) == (0, "", "")
    manifest = Manifest.read(tmp_path / "out")
    assert manifest.classes == ("cat", "dog") and manifest.image.model_dump() == {
        "height": 16,
        "width": 16,
        "mode": "RGB",
    }  # type: ignore[union-attr]
