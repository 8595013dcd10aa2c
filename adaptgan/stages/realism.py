"""The realism stage: generated images and real ones in, their distances in one or several feature spaces out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adaptgan.data.dataset import ShardDataset
from adaptgan.errors import DataError, ParamsError
from adaptgan.files import staged, write_json
from adaptgan.metrics.extractors.base import Compute, Extractor, Features
from adaptgan.metrics.realism import FLOOR, Metric, explained, halves, measure_images, wants
from adaptgan.metrics.spaces import scale_to_unit
from adaptgan.params import Component, Params, RealismSection
from adaptgan.plugins import components
from adaptgan.stages.base import Stage
from adaptgan.stages.image_sets import ImageSet, contact_sheet, open_set, part_of
from adaptgan.stages.realism_table import headline, print_table
from adaptgan.training.devices import pick_device
from adaptgan.training.seeding import derive

SECTION = "realism"
REAL = "real"
IMAGES = "images"
"""Stands where an extractor's name does, over the numbers of metrics that want images."""


def realism(
    params: Params,
    section: str = SECTION,
    *,
    real: Path,
    generated: Mapping[str, Path],
    out: Path,
    plots: Path | None = None,
) -> dict[str, Any]:
    """Compare each generated set with the real one, and real images with real ones: the floor.

    All sets are cut to `images`, since most distances depend on how many images there are. The floor compares the real
    images with as many others of the same data set where it has enough, else one half of them with the other; `images`
    says how many were on either side.

    Args:
        params: the parsed params.yaml.
        section: its realism section; one called `realism` may be left out, all defaults.
        real: data set folder; its labels are not used.
        generated: sets to judge, by name: data set folders, or model folders to draw samples from.
        out: JSON to write.
        plots: folder for a contact sheet of each set.

    Returns:
        What `out` holds: `sets` name → extractor → numbers, with the `floor` as the last set; metrics that look at
        images have theirs under `images` in the extractor's place, and where there are no others nothing is extracted.
        `images`, `made_by`, `path`, `digest` and `seconds` of each set under `about`; `extractors`, what each space
        is; `numbers`, what the numbers say, of metrics that tell.

    Raises:
        AdaptganError: see the message.
    """
    known = section != SECTION or SECTION in params.sections
    options = params.section(section, RealismSection) if known else RealismSection()
    registry = components()
    measures = named_metrics(options.metrics, section)
    spaces = [
        registry.resolve("extractor", config, f"{section}.extractors[{i}]")
        for i, config in enumerate(options.extractors)
    ]
    read = {f"extractor {i + 1}": Path(one["path"]) for i, one in enumerate(spaces) if one.get("path")}
    stage = Stage(
        "realism",
        section,
        {**options.model_dump(mode="json"), "extractors": spaces, "metrics": list(measures.values())},
        {"real": real, **generated, **read},
        {"out": out, **({"plots": plots} if plots else {})},
        seed=params.seed,
        tracking=params.pipeline.tracking,
    )
    start = time.perf_counter()
    with stage.running():
        device = pick_device(options.device)
        compute = Compute(device, options.batch_size)
        metrics = {name: registry.build("metric", one, f"{section}.metrics") for name, one in measures.items()}
        real_set, others = _real(real, options, params.seed)
        of_images = {name: metric for name, metric in metrics.items() if wants(metric) == "images"}
        of_features = {name: metric for name, metric in metrics.items() if name not in of_images}
        extractors = _named_extractors(spaces, compute, section) if of_features else {}
        for extractor in extractors.values():
            extractor.fit(real_set.images_NCHW)
        _check_wanted(metrics, extractors, real_set.images_NCHW[:2], section)
        sets = _Sets(real_set, _generated(generated, real_set, options, params.seed, device), others)
        result: dict[str, Any] = {"sets": {name: {} for name in [*generated, FLOOR]}, "extractors": {}, "about": {}}
        for name, extractor in extractors.items():
            numbers, result["extractors"][name] = _measure(extractor, sets, of_features, params.seed)
            for row, values in numbers.items():
                result["sets"][row][name] = values
        if of_images:
            numbers, result["extractors"][IMAGES] = _measure_images(sets, of_images, params.seed)
            for row, values in numbers.items():
                result["sets"][row][IMAGES] = values
        result["numbers"] = explained(metrics.values())
        result["about"] = {name: _about(one) for name, one in sets.compared().items()}
        result["seconds"] = round(time.perf_counter() - start, 2)
        if plots is not None:
            with staged(plots) as folder:
                for name, one in {REAL: sets.real, **sets.generated}.items():
                    (folder / f"{name}.png").write_bytes(contact_sheet(one))
        write_json(out, result)
        stage.results = headline(result)
    print_table(result)
    return result


@dataclass(frozen=True)
class _Sets:
    """All images of one run.

    Attributes:
        real: what generated sets are compared with.
        generated: by name.
        others: further real images, for the floor; None when there are too few, and halves of `real` must do.
    """

    real: ImageSet
    generated: dict[str, ImageSet]
    others: ImageSet | None

    def compared(self) -> dict[str, ImageSet]:
        """The real set, the generated ones, and what the floor compares the real set with."""
        return {REAL: self.real, **self.generated, **({FLOOR: self.others} if self.others else {})}


def named_metrics(configs: Sequence[Component], section: str) -> dict[str, dict[str, Any]]:
    """A section's metrics with all their options, by name.

    Raises:
        ParamsError: one is there twice, or is none.
    """
    found: dict[str, dict[str, Any]] = {}
    for i, config in enumerate(configs):
        name = config if isinstance(config, str) else str(config.get("name"))
        where = f"{section}.metrics[{i}]"
        if name in found:
            raise ParamsError(f"{where}: the metric {name!r} is there twice, and its numbers have one name. Keep one.")
        found[name] = components().resolve("metric", config, where)
    return found


def _named_extractors(spaces: list[dict[str, Any]], compute: Compute, section: str) -> dict[str, Extractor]:
    """Extractors by their component's name; a second of one name is called `model 2`."""
    found: dict[str, Extractor] = {}
    for i, config in enumerate(spaces):
        count = sum(config["name"] == other["name"] for other in spaces[: i + 1])
        name = config["name"] if count == 1 and config["name"] != IMAGES else f"{config['name']} {count}"
        found[name] = components().build("extractor", config, f"{section}.extractors[{i}]", [compute])
    return found


def _real(path: Path, options: RealismSection, seed: int) -> tuple[ImageSet, ImageSet | None]:
    """Real images to compare with, and others for the floor where there are at least half as many."""
    start = time.perf_counter()
    data = ShardDataset(path)
    # Not the draw of `open_set`: a real data set judged as a generated one would be compared with itself.
    order = np.random.default_rng(derive(seed, "realism", REAL)).permutation(len(data))
    mine, others = order[: options.images], order[options.images : 2 * options.images]
    enough = 2 * len(others) >= len(mine)
    return part_of(data, mine, start), part_of(data, others, time.perf_counter()) if enough else None


def _generated(
    paths: Mapping[str, Path], real: ImageSet, options: RealismSection, seed: int, device: torch.device
) -> dict[str, ImageSet]:
    """The sets to judge; all must be of the real images' shape."""
    sets = {name: open_set(path, options, seed, device) for name, path in paths.items()}
    for name, one in sets.items():
        if one.images_NCHW.shape[1:] != real.images_NCHW.shape[1:]:
            raise DataError(
                f"{name} ({one.path}) has images of {one.images_NCHW.shape[1:]} (channels, height, width), --real "
                f"{real.path} of {real.images_NCHW.shape[1:]}. Ingest, or train, with the same `size` and `mode`."
            )
    return sets


def _measure(
    extractor: Extractor, sets: _Sets, metrics: Mapping[str, Metric], seed: int
) -> tuple[dict[str, dict[str, float]], dict[str, Any]]:
    """Every set's numbers in one space, which has seen the real images, and what that space is."""
    start = time.perf_counter()
    seen = {name: extractor(one.images_NCHW) for name, one in sets.compared().items()}
    if not extractor.fixed:
        scaled = scale_to_unit(seen[REAL].features_NF, *(one.features_NF for one in list(seen.values())[1:]))
        seen = {name: Features(x, one.probabilities_NK) for (name, one), x in zip(seen.items(), scaled, strict=True)}
    real = seen.pop(REAL)
    pairs = {name: (one, real) for name, one in seen.items()}
    if FLOOR not in pairs:
        one_half, other_half = halves(len(real.features_NF), seed)
        pairs[FLOOR] = (_rows(real, one_half), _rows(real, other_half))
    numbers: dict[str, dict[str, float]] = {}
    for name, (one, other) in pairs.items():
        numbers[name] = {}
        for metric in metrics.values():
            if wants(metric) == "features":
                numbers[name] |= metric(one.features_NF, other.features_NF, seed)
            elif one.probabilities_NK is not None and other.probabilities_NK is not None:
                numbers[name] |= metric(one.probabilities_NK, other.probabilities_NK, seed)
    return numbers, {
        "width": real.features_NF.shape[1],
        "classes": len(real.probabilities_NK[0]) if real.probabilities_NK is not None else None,
        "scaled": not extractor.fixed,
        "floor": [len(one.features_NF) for one in pairs[FLOOR]],
        "seconds": round(time.perf_counter() - start, 2),
    }


def _measure_images(
    sets: _Sets, metrics: Mapping[str, Metric], seed: int
) -> tuple[dict[str, dict[str, float]], dict[str, Any]]:
    """Every set's numbers by metrics that want images, and what they were measured on."""
    start = time.perf_counter()
    images = {name: one.images_NCHW for name, one in sets.compared().items()}
    numbers = measure_images(images, REAL, metrics, seed)
    floor = [len(sets.others.images_NCHW), len(images[REAL])] if sets.others else None
    return numbers, {
        "width": None,
        "classes": None,
        "scaled": False,
        "floor": floor or [len(half) for half in halves(len(images[REAL]), seed)],
        "seconds": round(time.perf_counter() - start, 2),
    }


def _rows(seen: Features, rows: np.ndarray) -> Features:
    p_NK = seen.probabilities_NK
    return Features(seen.features_NF[rows], None if p_NK is None else p_NK[rows])


def _check_wanted(
    metrics: Mapping[str, Metric], extractors: Mapping[str, Extractor], images_NCHW: np.ndarray, section: str
) -> None:
    """A metric that would find nothing to measure in any space is a mistake, told before anything is sampled."""
    needy = [name for name, metric in metrics.items() if wants(metric) == "probabilities"]
    if needy and all(extractor(images_NCHW).probabilities_NK is None for extractor in extractors.values()):
        raise ParamsError(
            f"{section}.metrics: class probabilities are what {' and '.join(needy)} measure, and none of the "
            f"extractors ({', '.join(extractors)}) gives any. Add `{{name: model, path: DIR}}` with a trained "
            "classifier."
        )


def _about(images: ImageSet) -> dict[str, Any]:
    return {
        "path": str(images.path),
        "made_by": images.made_by,
        "digest": images.digest,
        "images": len(images.images_NCHW),
        "seconds": round(images.seconds, 2),
    }
