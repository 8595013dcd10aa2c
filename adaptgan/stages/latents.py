"""What a trained generator holds, as pictures: samples, paths between them, attributes added. No pipeline stages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from adaptgan.errors import ParamsError, nearest
from adaptgan.latents import arithmetic as attributes
from adaptgan.latents.drawing import (
    as_latent_model,
    as_sampler,
    class_index,
    draw,
    labels_of,
    render,
    sampled,
)
from adaptgan.latents.interpolation import Mode, path
from adaptgan.latents.pictures import check_name, picture, write_gif, write_png
from adaptgan.models import load_model
from adaptgan.training.devices import pick_device

CHUNK = 64
"""Images made at a time."""


def sample(
    model: Path,
    out: Path,
    *,
    count: int | None = None,
    rows: int | None = None,
    columns: int | None = None,
    class_name: str | None = None,
    truncation: float | None = None,
    seed: int = 0,
    numbered: bool = False,
) -> int:
    """Write a sheet of samples; gives how many there are.

    Args:
        model: a trained generator.
        out: PNG file.
        count: samples; by default as many as fill the rows.
        rows: of the sheet, 8 by default.
        columns: of the sheet; by default one for each class of a conditional model (up to 20), else 8.
        class_name: of all of them; without it the classes of a conditional model take turns.
        truncation: trades variety for quality.
        seed: of the latents.
        numbered: write each latent's number under it; other commands take those.

    Raises:
        AdaptganError: see the message.
    """
    check_name(out, ".png")
    device = pick_device("auto")
    network: Any = as_sampler(load_model(model, device))
    _check_truncation(truncation)
    classes = len(network.info.classes) if network.conditional and class_name is None else 0
    if columns is None:
        columns = classes if 0 < classes <= 20 else 8
    if count is None:
        count = (rows or 8) * columns
    if rows is not None and count > rows * columns:
        raise ParamsError(f"--count {count} does not fit into {rows} rows of {columns} columns.")
    which = range(count)
    labels_N = labels_of(network, which, class_name)
    images = []
    with torch.inference_mode():
        for start in range(0, count, CHUNK):
            part = slice(start, start + CHUNK)
            labels = None if labels_N is None else labels_N[part]
            images.append(sampled(network, seed, which[part], labels, truncation, device=device).float().cpu())
    captions = [str(number) for number in which] if numbered else None
    write_png(out, picture(torch.cat(images).clamp(-1, 1), columns, captions))
    return count


def interpolate(
    model: Path,
    out: Path,
    *,
    start: str,
    end: str,
    mode: Mode = "spherical",
    steps: int = 10,
    class_name: str | None = None,
    truncation: float | None = None,
) -> int:
    """Write the way from some latents to others: a row each as PNG, or a GIF; gives how many rows there are.

    Args:
        model: a trained generator.
        out: PNG or GIF file.
        start: `SEED/NUMBER`, or several with commas between them.
        end: as many, or one for all.
        mode: `linear` or `spherical`.
        steps: images of each row, both ends included.
        class_name: of all images; without it a conditional model shows each way once for every class.
        truncation: trades variety for quality.

    Raises:
        AdaptganError: see the message.
    """
    check_name(out, ".png", ".gif")
    device = pick_device("auto")
    network = as_latent_model(load_model(model, device))
    _check_truncation(truncation)
    starts, ends = places(start, "--from"), places(end, "--to")
    if len(ends) == 1:
        ends *= len(starts)
    if len(starts) != len(ends):
        raise ParamsError(f"--from names {len(starts)} latents and --to {len(ends)}: give as many, or one for all.")
    a_NZ, b_NZ = (torch.cat([draw(network, s, [n], truncation) for s, n in ends_]) for ends_ in (starts, ends))
    path_NTZ = path(a_NZ, b_NZ, steps, mode)
    classes = _classes(network, class_name)
    rows_RTZ = path_NTZ.repeat_interleave(max(1, len(classes)), 0)
    labels = torch.tensor(classes * len(starts)).repeat_interleave(steps) if classes else None
    images = render(network, rows_RTZ.flatten(0, 1), labels, truncation, device=device)
    if out.suffix.lower() == ".png":
        write_png(out, picture(images, steps))
    else:
        frames_TRCHW = images.unflatten(0, (len(rows_RTZ), steps)).transpose(0, 1)
        columns = len(classes) if len(classes) > 1 else min(8, len(rows_RTZ))
        write_gif(out, [picture(frame, columns) for frame in frames_TRCHW])
    return len(rows_RTZ)


def arithmetic(
    model: Path,
    out: Path,
    *,
    to: str,
    plus: str = "",
    minus: str = "",
    attribute: str | None = None,
    guard: Path | None = None,
    count: int = 1000,
    strengths: str = "1",
    class_name: str | None = None,
    seed: int = 0,
) -> float:
    """Add an attribute to some samples and write a row for each: as it was, then at each strength.

    Args:
        model: a trained generator.
        out: PNG file.
        to: numbers of the samples to change, such as `20,21`.
        plus: numbers of samples that have the attribute.
        minus: numbers of samples that do not.
        attribute: instead: the class that a classifier reads.
        guard: that classifier.
        count: samples that it reads.
        strengths: how much of the attribute, such as `0.5,1,2`; a negative strength takes it away.
        class_name: of the changed samples; without it each has the class of its number (see `sample`).
        seed: of the latents.

    Returns:
        The length of the direction.

    Raises:
        AdaptganError: see the message.
    """
    check_name(out, ".png")
    if bool(plus) == bool(attribute):
        raise ParamsError("say what the attribute is: --plus NUMBERS (and --minus), or --attribute CLASS with --guard.")
    device = pick_device("auto")
    network = as_latent_model(load_model(model, device))
    targets, amounts = numbers(to, "--to"), _amounts(strengths)
    if attribute:
        direction_Z = _read(network, attribute, guard, seed, count, device)
    else:
        has, lacks = numbers(plus, "--plus"), numbers(minus, "--minus") if minus else []
        with_NZ = draw(network, seed, has)
        direction_Z = attributes.attribute_vector(with_NZ, draw(network, seed, lacks) if lacks else with_NZ[:0])
    changed_NSZ = attributes.shifted(draw(network, seed, targets), direction_Z, [0.0, *amounts])
    labels_N = labels_of(network, targets, class_name)
    shown = 1 + len(amounts)
    labels = None if labels_N is None else labels_N.repeat_interleave(shown)
    images = render(network, changed_NSZ.flatten(0, 1), labels, device=device)
    captions = [text for number in targets for text in (str(number), *(f"{amount:+g}" for amount in amounts))]
    write_png(out, picture(images, shown, captions))
    return float(direction_Z.norm())


def places(text: str, option: str) -> list[tuple[int, int]]:
    """`0/3,1/5` -> [(0, 3), (1, 5)]: seeds and numbers of latents.

    Raises:
        ParamsError: it is something else.
    """
    found = [re.fullmatch(r"\s*(\d+)/(\d+)\s*", part) for part in text.split(",")]
    if not all(found):
        raise ParamsError(
            f"{option} {text}: expected SEED/NUMBER, such as 0/12, or several with commas between them. "
            "`adaptgan sample --numbered --seed SEED` shows the numbers."
        )
    return [(int(match[1]), int(match[2])) for match in found if match]


def numbers(text: str, option: str) -> list[int]:
    """`3,7,12` -> [3, 7, 12].

    Raises:
        ParamsError: it is something else.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"\d+", part) for part in parts):
        raise ParamsError(
            f"{option} {text}: expected numbers with commas between them, such as 3,7,12. "
            "`adaptgan sample --numbered` shows them."
        )
    return [int(part) for part in parts]


def _amounts(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ParamsError(f"--strength {text}: expected numbers with commas between them, such as 0.5,1,2.") from None


def _read(
    network: Any, attribute: str, guard: Path | None, seed: int, count: int, device: torch.device
) -> torch.Tensor:
    """The direction towards what a classifier reads as a class."""
    if guard is None:
        raise ParamsError("--attribute needs a classifier that reads it: --guard DIR.")
    reader: Any = load_model(guard, device)
    if not hasattr(reader, "predict"):
        raise ParamsError(f"--guard {guard}: a guard must be a classifier; this is {reader.card['method']['name']!r}.")
    if attribute not in reader.info.classes:
        known = reader.info.classes
        raise ParamsError(f"--attribute {attribute}: {guard} reads no such class. {nearest(attribute, known)}")
    mine, theirs = network.info, reader.info
    if (mine.channels, mine.height, mine.width) != (theirs.channels, theirs.height, theirs.width):
        raise ParamsError(f"--guard {guard}: it reads images of another size or mode than the generator makes.")
    z_NZ = draw(network, seed, range(count))
    images_NCHW = render(network, z_NZ, labels_of(network, range(count)), device=device)
    with torch.inference_mode():
        read = torch.cat([reader.predict(part.to(device)).float().cpu() for part in images_NCHW.split(256)])
    return attributes.read_attribute(z_NZ, read, list(reader.info.classes).index(attribute), attribute)


def _classes(network: Any, class_name: str | None) -> list[int]:
    """Those to show each way in: the chosen one, or all; none for a model without classes."""
    if class_name is not None:
        return [class_index(network, class_name)]
    return list(range(len(network.info.classes))) if network.conditional else []


def _check_truncation(truncation: float | None) -> None:
    if truncation is not None and not truncation > 0:
        raise ParamsError(f"--truncation {truncation}: expected a number above 0, such as 0.7.")
