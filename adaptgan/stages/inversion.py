"""Latents found for images: how well a generator can make them, and edits that it agrees to. No pipeline stages."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from safetensors.torch import save_file

from adaptgan.data.dataset import ShardDataset
from adaptgan.data.images import chw, convert, to_float
from adaptgan.datainfo import DataInfo
from adaptgan.errors import AdaptganWarning, DataError, ParamsError
from adaptgan.files import staged, write_atomic, write_json
from adaptgan.latents import editing, inversion
from adaptgan.latents.drawing import as_latent_model, class_index, draw, labels_of
from adaptgan.latents.pictures import check_name, picture, write_gif, write_png
from adaptgan.models import load_model
from adaptgan.stages.latents import places
from adaptgan.stages.train import split
from adaptgan.training.devices import pick_device

COLUMNS = 8


def invert(
    model: Path,
    images: Path,
    out: Path,
    *,
    held_out: Path | None = None,
    count: int = 16,
    class_name: str | None = None,
    steps: int = 300,
    lr: float = 0.1,
    restarts: int = 4,
    prior: float = 0.0,
    seed: int = 0,
) -> str:
    """Find latents of images, and say whether training images have better ones than held-out ones.

    Writes `training.png` and `held_out.png` (rows of images, below each row what the generator makes of it),
    `inversion.json` (error of each image), `inversion.md` (the table and the statement) and `latents.safetensors`.

    Args:
        model: a trained generator.
        images: data set it was trained on; images that its training kept aside are not taken.
        out: folder to write.
        held_out: data set of the same kind it was not trained on; without it, the images its training kept aside.
        count: images of each.
        class_name: of all images; without it their labels where they can be read, else every class is tried.
        steps: of the descent.
        lr: its first learning rate.
        restarts: starts for each image.
        prior: weight of the latent's squared length.
        seed: of the choice of images and of the starts.

    Returns:
        The table and the statement.

    Raises:
        AdaptganError: see the message.
    """
    device = pick_device("auto")
    network: Any = as_latent_model(load_model(model, device))
    if class_name is not None:
        class_index(network, class_name)
    found: dict[str, inversion.Inversion] = {}
    chosen = _chosen(network, ShardDataset(images), ShardDataset(held_out) if held_out else None, count, seed)
    pictures = {}
    for role, (data, picked) in chosen.items():
        _check_shape(network.info, data)
        x_NCHW = to_float(torch.from_numpy(np.ascontiguousarray(data.images_NCHW[picked])))
        labels_N = _labels(network, data, picked, class_name)
        options: dict[str, Any] = {"steps": steps, "lr": lr, "restarts": restarts, "prior": prior, "seed": seed}
        found[role] = inversion.invert(network, x_NCHW, labels_N, device=device, **options)
        pictures[role] = picture(_rows(x_NCHW, found[role].images_NCHW), min(COLUMNS, len(x_NCHW)))
    errors = {role: one.error_N.double().numpy() for role, one in found.items()}
    verdict = inversion.memorization(errors["training"], errors["held_out"]) if "held_out" in errors else None
    text = f"{_table(found)}\n\n{verdict or _NOTHING_HELD_OUT}\n"
    with staged(out) as folder:
        for role, image in pictures.items():
            write_png(folder / f"{role}.png", image)
        write_json(folder / "inversion.json", _facts(network, found, chosen, verdict))
        write_atomic(folder / "inversion.md", text)
        save_file({role: one.z_NZ.contiguous() for role, one in found.items()}, folder / "latents.safetensors")
    return text


def edit(
    model: Path,
    scribble: Path,
    out: Path,
    *,
    start: str | None = None,
    image: Path | None = None,
    class_name: str | None = None,
    stay: float = 0.2,
    smooth: float = 0.0,
    steps: int = 200,
    lr: float = 0.05,
    gif: Path | None = None,
) -> editing.Edit:
    """Make an image match a scribble, and write a strip: the image, what was painted, the result, the way there.

    Args:
        model: a trained generator.
        scribble: PNG of the images' size; where it is opaque its colour is asked for.
        out: PNG file.
        start: `SEED/NUMBER` of the sample to edit.
        image: instead: an image file to edit; the latent nearest to it is where the edit starts.
        class_name: of the image. Without it: the class of the number, or the one that fits the image file best.
        stay: weight of staying near the start.
        smooth: weight of a smooth change.
        steps: of the descent.
        lr: its first learning rate.
        gif: also write the way there as a GIF.

    Raises:
        AdaptganError: see the message.
    """
    check_name(out, ".png")
    if gif is not None:
        check_name(gif, ".gif")
    if (start is None) == (image is None):
        raise ParamsError("say what to edit: --start SEED/NUMBER, or --image FILE.")
    device = pick_device("auto")
    network: Any = as_latent_model(load_model(model, device))
    info: DataInfo = network.info
    wanted_CHW, mask_HW = editing.read_scribble(_painted(scribble, info), info.channels)
    z0_Z, label, first = _start(network, start, image, class_name, device)
    done = editing.edit(
        network, z0_Z, wanted_CHW, mask_HW, label, stay=stay, smooth=smooth, steps=steps, lr=lr, frames=8, device=device
    )
    before_CHW = done.frames_TCHW[0]
    painted_CHW = mask_HW * wanted_CHW + (1 - mask_HW) * before_CHW
    named = {"start": before_CHW, "scribble": painted_CHW, "edited": done.image_CHW}
    if first is not None:
        named = {"image": first} | named
    way = list(done.frames_TCHW[1:-1])
    captions = [*named, *([f"step {i + 1}" for i in range(len(way))])]
    write_png(out, picture(torch.stack([*named.values(), *way]), len(captions), captions))
    if gif is not None:
        write_gif(gif, [picture(frame[None], 1) for frame in done.frames_TCHW], 0.2)
    return done


def _chosen(
    network: Any, data: ShardDataset, other: ShardDataset | None, count: int, seed: int
) -> dict[str, tuple[ShardDataset, np.ndarray]]:
    """Which images to invert, by role: data set and indices."""
    card = network.card
    if data.digest in [entry.get("digest") for entry in card.get("inputs", {}).values()]:
        learned, kept = split(len(data), card["training"]["validation"], card["seed"])
    else:
        warnings.warn(
            f"{data.folder}: these are not the images that the model was trained on (its card names another digest), "
            "so the comparison with held-out images says nothing about memorization.",
            AdaptganWarning,
            stacklevel=2,
        )
        learned, kept = np.arange(len(data)), np.arange(0)
    chosen = {"training": (data, _some(learned, count, seed))}
    if other is not None:
        chosen["held_out"] = (other, _some(np.arange(len(other)), count, seed))
    elif len(kept):
        chosen["held_out"] = (data, _some(kept, count, seed))
    return chosen


def _some(indices: np.ndarray, count: int, seed: int) -> np.ndarray:
    picked: np.ndarray = np.random.default_rng(seed).choice(indices, min(count, len(indices)), replace=False)
    return np.sort(picked)


def _labels(network: Any, data: ShardDataset, picked: np.ndarray, class_name: str | None) -> torch.Tensor | None:
    """The images' classes as far as they are known and the model knows them."""
    if class_name is not None:
        return torch.full((len(picked),), class_index(network, class_name))
    if not network.conditional or not data.has_labels or data.classes != network.info.classes:
        return None
    return torch.from_numpy(data.labels_N[picked])


def _rows(x_NCHW: torch.Tensor, made_NCHW: torch.Tensor) -> torch.Tensor:
    """Rows of images, below each what was made of it; a short last row is filled with white."""
    columns = min(COLUMNS, len(x_NCHW))
    white = torch.ones(-len(x_NCHW) % columns, *x_NCHW.shape[1:])
    rows = [torch.cat([images, white]).unflatten(0, (-1, columns)) for images in (x_NCHW, made_NCHW)]
    return torch.stack(rows, 1).flatten(0, 2)


def _table(found: dict[str, inversion.Inversion]) -> str:
    lines = ["| images | number | MSE median | MSE mean | PSNR median, dB |", "|---|---:|---:|---:|---:|"]
    for role, one in found.items():
        error_N, psnr = one.error_N.double().numpy(), np.median(one.psnr_N.numpy())
        name = role.replace("_", "-")
        lines.append(f"| {name} | {len(error_N)} | {np.median(error_N):.4f} | {error_N.mean():.4f} | {psnr:.1f} |")
    return "\n".join(lines)


_NOTHING_HELD_OUT = (
    "Nothing was held out, so nothing can be said of memorization: give a data set of the same kind with --held-out."
)


def _facts(
    network: Any,
    found: dict[str, inversion.Inversion],
    chosen: dict[str, tuple[ShardDataset, np.ndarray]],
    verdict: inversion.Memorization | None,
) -> dict[str, Any]:
    facts: dict[str, Any] = {"model": network.card["fingerprint"]}
    for role, one in found.items():
        data, picked = chosen[role]
        facts[role] = [
            {
                "key": data.keys[index],
                "mse": round(float(one.error_N[row]), 6),
                "psnr": round(float(one.psnr_N[row]), 3),
                **({} if one.labels_N is None else {"class": network.info.classes[int(one.labels_N[row])]}),
            }
            for row, index in enumerate(picked)
        ]
    if verdict is not None:
        facts["memorization"] = {**vars(verdict), "statement": str(verdict)}
    return facts


def _start(
    network: Any, start: str | None, image: Path | None, class_name: str | None, device: torch.device
) -> tuple[torch.Tensor, int | None, torch.Tensor | None]:
    """The latent to start from, its class, and the image file it stands for."""
    if start is not None:
        named = places(start, "--start")
        if len(named) != 1:
            raise ParamsError(f"--start {start}: expected one SEED/NUMBER, such as 0/12.")
        ((seed, number),) = named
        labels = labels_of(network, [number], class_name)
        return draw(network, seed, [number])[0], None if labels is None else int(labels[0]), None
    assert image is not None
    info: DataInfo = network.info
    mode: Any = "L" if info.channels == 1 else "RGB"
    pixels = convert(np.asarray(_opened(image).convert(mode)), (info.height, info.width), mode)
    x_CHW = to_float(torch.from_numpy(chw(pixels).copy()))
    given = None if class_name is None else torch.tensor([class_index(network, class_name)])
    found = inversion.invert(network, x_CHW[None], given, device=device)
    return found.z_NZ[0], None if found.labels_N is None else int(found.labels_N[0]), x_CHW


def _painted(path: Path, info: DataInfo) -> np.ndarray:
    """A scribble's pixels, uint8 (H, W, 4)."""
    image = _opened(path)
    if not image.has_transparency_data:
        raise DataError(
            f"{path}: the scribble has no transparency, so nothing says where it is. Paint on a transparent layer of "
            "the image's size and save it as a PNG with alpha."
        )
    if image.size != (info.width, info.height):
        raise DataError(
            f"{path}: the scribble is {image.height}x{image.width}, the generator's images are "
            f"{info.height}x{info.width}. Paint at that size."
        )
    return np.asarray(image.convert("RGBA"))


def _opened(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except (FileNotFoundError, IsADirectoryError):
        raise DataError(f"{path}: there is no such image file.") from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise DataError(f"{path}: this is no image that can be read ({error}).") from None


def _check_shape(info: DataInfo, data: ShardDataset) -> None:
    theirs = data.info
    if (info.channels, info.height, info.width) != (theirs.channels, theirs.height, theirs.width):
        raise DataError(
            f"{data.folder} has images of {theirs.channels}×{theirs.height}×{theirs.width}, the generator makes "
            f"{info.channels}×{info.height}×{info.width} (channels, height, width). Ingest it with the same `size` and "
            "`mode`."
        )
