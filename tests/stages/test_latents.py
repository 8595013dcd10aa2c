"""`sample`, `interpolate`, `arithmetic`, `invert` and `edit` as a user runs them, on generators trained by `train`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from adaptgan import load_model
from adaptgan.data.dataset import ShardDataset
from adaptgan.data.images import to_uint8
from adaptgan.latents.arithmetic import attribute_vector
from adaptgan.latents.drawing import draw
from adaptgan.latents.interpolation import path
from adaptgan.latents.pictures import CAPTION
from adaptgan.stages.train import split
from tests.evaluated import write_set

Cli = Callable[..., tuple[int, str, str]]


def opened(picture: Path) -> np.ndarray:
    with Image.open(picture) as image:
        return np.asarray(image)


def tile(picture: Path, row: int, column: int, caption: bool = False) -> np.ndarray:
    """An image of a sheet of 32x32 images, enlarged twice, one pixel between them; back at its own size."""
    pixels = opened(picture)
    top, left = row * (64 + caption * CAPTION + 1), column * 65
    return pixels[top : top + 64 : 2, left : left + 64 : 2]


def size(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as image:
        return image.size


def made(folder: Path, z_NZ: torch.Tensor, labels: list[int] | None = None) -> np.ndarray:
    """Images of latents, uint8 (N, H, W)."""
    model: Any = load_model(folder)
    return to_uint8(model.generate(z_NZ, None if labels is None else torch.tensor(labels)))[:, 0].numpy()


def latents(folder: Path, seed: int, numbers: list[int], truncation: float | None = None) -> torch.Tensor:
    return draw(load_model(folder), seed, numbers, truncation)  # type: ignore[arg-type]


def alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Equal but for rounding: another batch size may round otherwise."""
    return bool((np.abs(one.astype(int) - other.astype(int)) <= 1).all())


def test_sample_numbers_its_latents(tiny_dcgan: Path, tmp_path: Path, run_cli: Cli) -> None:
    out = tmp_path / "grid.png"
    code, text, _ = run_cli("sample", tiny_dcgan, "--out", out, "--numbered", "--seed", 5)
    assert code == 0 and "64 samples" in text
    assert size(out) == (8 * 65 - 1, 8 * (64 + CAPTION + 1) - 1)
    expected = made(tiny_dcgan, latents(tiny_dcgan, 5, [0, 7, 63]))
    for image, (row, column) in zip(expected, [(0, 0), (0, 7), (7, 7)], strict=True):
        assert alike(tile(out, row, column, caption=True), image)
    assert opened(out)[64 : 64 + CAPTION].min() < 128  # a number is written there
    small = tmp_path / "small.png"
    assert run_cli("sample", tiny_dcgan, "--out", small, "--seed", 5, "--count", 3, "--columns", 2)[0] == 0
    assert size(small) == (129, 129) and alike(tile(small, 1, 0), made(tiny_dcgan, latents(tiny_dcgan, 5, [2]))[0])
    assert opened(small)[65:, 65:].min() == 255  # nothing fills the last row


def test_sample_truncated_and_of_one_class(tiny_cgan: Path, tmp_path: Path, run_cli: Cli) -> None:
    tame, three = tmp_path / "tame.png", tmp_path / "three.png"
    assert run_cli("sample", tiny_cgan, "--out", tame, "--rows", 2, "--truncation", 0.3)[0] == 0
    z = latents(tiny_cgan, 0, list(range(20)), 0.3)
    assert z.abs().max() <= 0.3 and size(tame) == (10 * 65 - 1, 129)  # a column for each class
    assert alike(tile(tame, 1, 4), made(tiny_cgan, z, [i % 10 for i in range(20)])[14])
    assert run_cli("sample", tiny_cgan, "--out", three, "--rows", 1, "--class", "3")[0] == 0
    assert alike(tile(three, 0, 5), made(tiny_cgan, latents(tiny_cgan, 0, list(range(8))), [3] * 8)[5])


def test_interpolate(tiny_dcgan: Path, tiny_cgan: Path, tmp_path: Path, run_cli: Cli) -> None:
    out, gif = tmp_path / "ways.png", tmp_path / "ways.gif"
    ways = ("--from", "0/1,2/4", "--to", "1/3", "--steps", 5)
    for mode in ("linear", "spherical"):
        code, text, _ = run_cli("interpolate", tiny_dcgan, *ways, "--mode", mode, "--out", out)
        assert code == 0 and "2 ways of 5" in text and size(out) == (5 * 65 - 1, 129)
        a, b = latents(tiny_dcgan, 2, [4]), latents(tiny_dcgan, 1, [3])
        expected = made(tiny_dcgan, path(a, b, 5, mode)[0])  # type: ignore[arg-type]
        assert all(alike(tile(out, 1, step), expected[step]) for step in range(5))
    assert run_cli("interpolate", tiny_cgan, *ways, "--out", gif)[0] == 0
    with Image.open(gif) as moving:
        assert (moving.n_frames, moving.size) == (5, (10 * 65 - 1, 129))  # all classes go both ways
        assert moving.info["loop"] == 0 and moving.info["duration"] > 500
    assert run_cli("interpolate", tiny_cgan, *ways, "--class", "7", "--out", out)[0] == 0
    end = made(tiny_cgan, latents(tiny_cgan, 1, [3]), [7])[0]
    assert alike(tile(out, 0, 4), end) and alike(tile(out, 1, 4), end)


def test_arithmetic_with_numbers(tiny_dcgan: Path, tmp_path: Path, run_cli: Cli) -> None:
    out = tmp_path / "sum.png"
    arguments = ("--plus", "3,7,12", "--minus", "1,5", "--to", "20,21", "--strength", "-1,2", "--seed", 4)
    code, text, _ = run_cli("arithmetic", tiny_dcgan, *arguments, "--out", out)
    has, lacks, z = (latents(tiny_dcgan, 4, numbers) for numbers in ([3, 7, 12], [1, 5], [20, 21]))
    v = attribute_vector(has, lacks)
    assert code == 0 and f"length {float(v.norm()):.2f}" in text
    for column, strength in enumerate((0, -1, 2)):
        assert alike(tile(out, 1, column, caption=True), made(tiny_dcgan, z + strength * v)[1])


def test_arithmetic_with_a_classifier(tiny_dcgan: Path, tiny_guard: Path, tmp_path: Path, run_cli: Cli) -> None:
    """What is added is what the guard reads in the generator's own images."""
    z = latents(tiny_dcgan, 0, list(range(200)))
    model, guard = (load_model(folder) for folder in (tiny_dcgan, tiny_guard))
    images: Any = model.generate(z)  # type: ignore[operator]
    read = guard.predict(images)  # type: ignore[operator]
    wanted = int(read.argmax(1).mode().values)
    out = tmp_path / "read.png"
    arguments = ("--attribute", wanted, "--guard", tiny_guard, "--count", 200, "--to", "3", "--out", out)
    code, text, _ = run_cli("arithmetic", tiny_dcgan, *arguments)
    v = z[read.argmax(1) == wanted].mean(0) - z[read.argmax(1) != wanted].mean(0)
    assert code == 0 and f"length {float(v.norm()):.2f}" in text
    assert alike(tile(out, 0, 1, caption=True), made(tiny_dcgan, z[3:4] + v)[0])


def test_invert_compares_training_with_held_out_images(
    tiny_cgan: Path, tiny_source: Path, tmp_path: Path, run_cli: Cli
) -> None:
    out = tmp_path / "found"
    arguments = ("--count", 4, "--steps", 15, "--restarts", 2, "--out", out)
    code, text, errors = run_cli("invert", tiny_cgan, "--images", tiny_source, *arguments)
    assert (code, errors) == (0, "") and "| held-out | 4 |" in text and "memoriz" in text
    assert (out / "inversion.md").read_text() == text
    facts = json.loads((out / "inversion.json").read_text())
    data = ShardDataset(tiny_source)
    learned, kept = split(len(data), 0.2, 0)
    keys = np.array(data.keys)
    assert {entry["key"] for entry in facts["training"]} <= set(keys[learned])
    assert {entry["key"] for entry in facts["held_out"]} <= set(keys[kept])
    found = load_file(out / "latents.safetensors")
    for role in ("training", "held_out"):
        indices = [data.keys.index(entry["key"]) for entry in facts[role]]
        assert [data.classes[data.labels_N[i]] for i in indices] == [entry["class"] for entry in facts[role]]
        again = made(tiny_cgan, found[role], data.labels_N[indices].tolist())
        mse = ((again - data.images_NCHW[indices, 0].astype(float)) / 127.5) ** 2
        assert [entry["mse"] for entry in facts[role]] == pytest.approx(mse.mean((1, 2)), abs=2e-3)
        assert alike(tile(out / f"{role}.png", 0, 2), data.images_NCHW[indices[2], 0])
        assert alike(tile(out / f"{role}.png", 1, 2), again[2])
    assert facts["memorization"]["statement"] in text


@pytest.mark.filterwarnings("always:.*not the images that the model was trained on")
def test_invert_other_images(tiny_cgan: Path, tiny_test: Path, tmp_path: Path, run_cli: Cli) -> None:
    """Sealed labels stay sealed: every class is tried. Images that nothing was trained on say nothing of memory."""
    arguments = ("--images", tiny_test, "--count", 2, "--steps", 3, "--restarts", 1, "--out", tmp_path / "found")
    code, text, errors = run_cli("invert", tiny_cgan, *arguments)
    assert code == 0 and "--held-out" in text and "not the images that the model was trained on" in errors
    facts = json.loads((tmp_path / "found" / "inversion.json").read_text())
    assert all(entry["class"] in "0123456789" for entry in facts["training"]) and "memorization" not in facts


def paint(path: Path, size: tuple[int, int] = (32, 32)) -> Path:
    pixels = np.zeros((*size, 4), np.uint8)
    pixels[4:9, 4:28] = 255
    Image.fromarray(pixels).save(path)
    return path


def test_edit_a_sample(tiny_cgan: Path, tmp_path: Path, run_cli: Cli) -> None:
    scribble, out, gif = paint(tmp_path / "scribble.png"), tmp_path / "strip.png", tmp_path / "way.gif"
    arguments = ("--scribble", scribble, "--start", "0/13", "--stay", 0.01, "--steps", 60, "--out", out, "--gif", gif)
    code, text, _ = run_cli("edit", tiny_cgan, *arguments)
    assert code == 0, text
    strip = [tile(out, 0, column).astype(int) for column in range(3)]
    assert alike(strip[0], made(tiny_cgan, latents(tiny_cgan, 0, [13]), [3])[0])
    assert (strip[1][4:9, 4:28] == 255).all() and (strip[1][10:] == strip[0][10:]).all()
    before, after = (255 - image[4:9, 4:28].mean() for image in (strip[0], strip[2]))
    assert after < before - 1 and f"{tmp_path}" in text
    with Image.open(gif) as moving:
        assert moving.n_frames > 2  # type: ignore[attr-defined]


def test_edit_an_image_file(tiny_dcgan: Path, tmp_path: Path, run_cli: Cli) -> None:
    mine = made(tiny_dcgan, latents(tiny_dcgan, 0, [5]))[0]
    Image.fromarray(mine).convert("RGB").save(tmp_path / "mine.png")
    arguments = ("--scribble", paint(tmp_path / "scribble.png"), "--image", tmp_path / "mine.png", "--steps", 3)
    assert run_cli("edit", tiny_dcgan, *arguments, "--out", tmp_path / "strip.png")[0] == 0
    given, found = (tile(tmp_path / "strip.png", 0, column).astype(float) for column in (0, 1))
    assert alike(given, mine)
    other = made(tiny_dcgan, latents(tiny_dcgan, 0, [6]))[0].astype(float)
    assert np.square(found - mine).mean() < 0.5 * np.square(other - mine).mean()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sample", "GUARD", "--out", "a.png"), "'supervised' makes no images from noise"),
        (("sample", "NOWHERE", "--out", "a.png"), "no model folder"),
        (("sample", "DCGAN", "--out", "a.jpg"), "must end in .png"),
        (("sample", "DCGAN", "--out", "a.png", "--class", "3"), "not taught any classes"),
        (("sample", "CGAN", "--out", "a.png", "--class", "cat"), "no class 'cat'. Known: 0, 1"),
        (("sample", "CGAN", "--out", "a.png", "--truncation", -1), "above 0"),
        (("sample", "CGAN", "--out", "a.png", "--rows", 1, "--count", 99), "does not fit"),
        (("sample", "CGAN", "--out", "a.png", "--count", 0), "greater than or equal to 1"),
        (("interpolate", "DCGAN", "--from", "3", "--to", "0/1", "--out", "a.png"), "expected SEED/NUMBER"),
        (
            ("interpolate", "DCGAN", "--from", "0/1,0/2,0/3", "--to", "0/1,0/5", "--out", "a.png"),
            "3 latents and --to 2",
        ),
        (("interpolate", "DCGAN", "--from", "0/1", "--to", "0/2", "--out", "a.mp4"), "must end in .png or .gif"),
        (("arithmetic", "DCGAN", "--to", "1", "--out", "a.png"), "say what the attribute is"),
        (("arithmetic", "DCGAN", "--to", "x", "--plus", "1", "--out", "a.png"), "--to x: expected numbers"),
        (("arithmetic", "DCGAN", "--to", "1", "--plus", "1", "--strength", "a", "--out", "a.png"), "--strength a"),
        (("arithmetic", "DCGAN", "--to", "1", "--attribute", "3", "--out", "a.png"), "--guard DIR"),
        (
            ("arithmetic", "DCGAN", "--to", "1", "--attribute", "cat", "--guard", "GUARD", "--out", "a.png"),
            "no such class",
        ),
        (("arithmetic", "DCGAN", "--to", "1", "--attribute", "3", "--guard", "CGAN", "--out", "a.png"), "a classifier"),
        (("invert", "DCGAN", "--images", "NOWHERE", "--out", "found"), "no data set here"),
        (("invert", "DCGAN", "--images", "POINTS", "--out", "found"), "1×8×8"),
        (("invert", "GUARD", "--images", "POINTS", "--out", "found"), "makes no images from noise"),
        (("edit", "DCGAN", "--scribble", "NOWHERE", "--start", "0/1", "--out", "a.png"), "no such image file"),
        (("edit", "DCGAN", "--scribble", "SCRIBBLE", "--out", "a.png"), "say what to edit"),
        (("edit", "DCGAN", "--scribble", "SCRIBBLE", "--start", "0/1,0/2", "--out", "a.png"), "expected one"),
        (("edit", "DCGAN", "--scribble", "SMALL", "--start", "0/1", "--out", "a.png"), "16x16"),
        (("edit", "DCGAN", "--scribble", "OPAQUE", "--start", "0/1", "--out", "a.png"), "no transparency"),
        (("edit", "DCGAN", "--scribble", "CLEAR", "--start", "0/1", "--out", "a.png"), "all of it is transparent"),
        (("edit", "DCGAN", "--scribble", "BROKEN", "--start", "0/1", "--out", "a.png"), "no image that can be read"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*not the images that the model was trained on")
def test_mistakes_are_told_in_one_message(
    arguments: tuple[Any, ...],
    words: str,
    tiny_dcgan: Path,
    tiny_cgan: Path,
    tiny_guard: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_cli: Cli,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_set(tmp_path / "points", np.zeros((4, 8, 8), np.uint8), np.arange(4) % 3, prefix="p")
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(tmp_path / "opaque.png")
    Image.fromarray(np.zeros((32, 32, 4), np.uint8)).save(tmp_path / "clear.png")
    (tmp_path / "broken.png").write_bytes(paint(tmp_path / "scribble.png").read_bytes()[:60])
    places = {
        "DCGAN": tiny_dcgan,
        "CGAN": tiny_cgan,
        "GUARD": tiny_guard,
        "NOWHERE": tmp_path / "nowhere",
        "POINTS": tmp_path / "points",
        "SCRIBBLE": tmp_path / "scribble.png",
        "SMALL": paint(tmp_path / "small.png", (16, 16)),
        "OPAQUE": tmp_path / "opaque.png",
        "CLEAR": tmp_path / "clear.png",
        "BROKEN": tmp_path / "broken.png",
    }
    code, _, errors = run_cli(*(places.get(str(argument), argument) for argument in arguments))
    assert code in (1, 2) and words in " ".join(errors.split()) and "Traceback" not in errors
    assert not (tmp_path / "a.png").exists() and not (tmp_path / "found").exists()
