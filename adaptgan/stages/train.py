"""The train stage: data and a method in, a model folder and its log out."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from adaptgan import __version__
from adaptgan.data.batch import Side
from adaptgan.data.dataset import ShardDataset
from adaptgan.data.images import to_float
from adaptgan.data.loader import Loader
from adaptgan.errors import DataError, ParamsError
from adaptgan.files import fingerprint, scratch, staged
from adaptgan.methods.base import Guard, Method
from adaptgan.models import load_model, save_model
from adaptgan.params import Params, Training, TrainSection
from adaptgan.plugins import components, version_of
from adaptgan.stages.base import Stage
from adaptgan.training.checkpoints import exclusive
from adaptgan.training.devices import make_fabric, pick_device, pick_precision
from adaptgan.training.loop import Feeds, fit
from adaptgan.training.run import Run
from adaptgan.training.seeding import derive, seed_all


def train(
    params: Params,
    section: str,
    *,
    source: Path,
    out: Path,
    target: Path | None = None,
    guard: Path | None = None,
    oracle: bool = False,
    log: Path | None = None,
) -> None:
    """Train the method of a section.

    Args:
        params: the parsed params.yaml.
        section: its train section, such as `refiner` or `task.dann`.
        source: labelled data set.
        out: model folder to write.
        target: unlabelled data set of the real domain; its labels are never opened.
        guard: a trained classifier of the source, for methods that ask one.
        oracle: allow `source` to be a sealed data set: the row that bounds what is possible.
        log: folder for losses, image grids and timing.

    Raises:
        AdaptganError: see the message.
    """
    options = params.section(section, TrainSection)
    registry = components()
    config = registry.resolve("method", options.method, f"{section}.method")
    training = options.training
    rank = int(os.environ.get("RANK", "0"))

    real = ShardDataset(target) if target else None
    data = ShardDataset(source, unseal="oracle" if oracle else None)
    _check_domains(data, real)
    device = pick_device(training.device)
    precision = pick_precision(training.precision, device)
    inputs = {"source": {"path": str(source), "digest": data.digest}}
    if real is not None:
        inputs["target"] = {"path": str(target), "digest": real.digest}
    frozen = Guard()
    if guard is not None:
        frozen = Guard(load_model(guard))
        inputs["guard"] = {"path": str(guard), "digest": frozen.model.card["fingerprint"]}
        _check_guard(guard, frozen.model, data)

    seed_all(params.seed, section, "weights")
    method: Method = registry.build("method", config, f"{section}.method", [data.info, frozen])
    _check_inputs(method, section, data, real)
    versions = _versions(config)
    resolved = {"method": config, "training": training.model_dump(mode="json")}
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    digests = {role: value["digest"] for role, value in inputs.items()}
    identity = fingerprint(section, resolved, digests, versions, params.seed, device.type, precision, world_size)

    log = log or Path("reports/runs") / section
    folder = scratch() / "runs" / identity[:20]
    stage = Stage(
        "train",
        section,
        {**resolved, "precision": precision, "fingerprint": identity},
        {"source": source, **({"target": target} if target else {}), **({"guard": guard} if guard else {})},
        {"out": out, "log": log},
        seed=params.seed,
        tracking=params.pipeline.tracking,
        rank=rank,
    )
    run = Run(section, identity, folder, log, resolved, training.steps, method, device, rank, world_size)
    with exclusive(folder if rank == 0 else folder / f"rank-{rank}", f"{section} with these params"), stage.running():
        fabric = make_fabric(device, precision)
        run.device = fabric.device
        if frozen.model is not None:
            frozen.model.to(fabric.device)
        with _feeds(fabric, data, real, training, method, params.seed) as feeds:
            fit(fabric, run, feeds, training, params.seed)
        if fabric.is_global_zero:
            card = {
                "section": section,
                **resolved,
                "data": {
                    "channels": data.info.channels,
                    "height": data.info.height,
                    "width": data.info.width,
                    "classes": list(data.info.classes),
                },
                "fingerprint": identity,
                "inputs": inputs,
                "versions": versions,
                "steps": run.steps,
                "scores": run.scores,
                "precision": precision,
            }
            with staged(out) as result:
                save_model(method, card, result)
        stage.results = {**run.scores, "steps": run.steps, "train_seconds": round(run.seconds, 2)}
        from adaptgan.plugins import plugins

        plugins().fire("adaptgan_after_train", run=run)
        fabric.barrier()
    if rank == 0:
        shutil.rmtree(folder, ignore_errors=True)


class _feeds:  # noqa: N801 - reads as a function
    """Loaders for the length of a training; a held-out share of the source is kept for scoring."""

    def __init__(
        self,
        fabric: Fabric,
        data: ShardDataset,
        real: ShardDataset | None,
        training: Training,
        method: Method,
        seed: int,
    ) -> None:
        self.loaders: list[Loader] = []
        self.args = (fabric, data, real, training, method, seed)

    def __enter__(self) -> Feeds:
        fabric, data, real, training, method, seed = self.args
        if training.batch_size % fabric.world_size:
            raise ParamsError(
                f"training.batch_size: {training.batch_size} cannot be split evenly over {fabric.world_size} processes."
            )
        learn, held = split(len(data), training.validation, seed)
        common: dict[str, Any] = {
            "batch_size": training.batch_size,
            "seed": seed,
            "device": fabric.device,
            "rank": fabric.global_rank,
            "world_size": fabric.world_size,
            "loading": training.loading,
            "workers": training.workers,
        }
        source = Loader(
            data,
            indices=learn,
            labels=data.has_labels,
            transforms=training.transforms,
            salt="source",
            **common,
        )
        self.loaders.append(source)
        target = None
        if real is not None and method.needs_target:
            target = Loader(real, labels=False, salt="target", **common)
            self.loaders.append(target)
        held_out = None
        if len(held):
            images = torch.from_numpy(np.ascontiguousarray(data.images_NCHW[held])).to(fabric.device)
            labels = torch.from_numpy(data.labels_N[held]).to(fabric.device) if data.has_labels else None
            held_out = Side(to_float(images), labels, torch.arange(len(held), device=fabric.device))
        return Feeds(source, target, held_out)

    def __exit__(self, *_: object) -> None:
        for loader in self.loaders:
            loader.close()


def split(count: int, validation: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices to learn from and indices to score on, both sorted; the same for equal arguments."""
    order = np.random.Generator(np.random.Philox(derive(seed, "validation"))).permutation(count)
    held = int(count * validation)
    return np.sort(order[held:]), np.sort(order[:held])


def _check_domains(data: ShardDataset, real: ShardDataset | None) -> None:
    if real is None:
        return
    mine, theirs = data.info, real.info
    if (mine.channels, mine.height, mine.width) != (theirs.channels, theirs.height, theirs.width):
        raise DataError(
            f"{data.folder} has images of {mine.channels}×{mine.height}×{mine.width}, {real.folder} of "
            f"{theirs.channels}×{theirs.height}×{theirs.width} (channels, height, width). Ingest both with the same "
            "`size` and `mode`."
        )
    if mine.classes and theirs.classes and mine.classes != theirs.classes:
        only_mine = sorted(set(mine.classes) - set(theirs.classes))
        only_theirs = sorted(set(theirs.classes) - set(mine.classes))
        raise DataError(
            f"The class sets differ: only {data.folder} has {only_mine or 'none'}, only {real.folder} has "
            f"{only_theirs or 'none'}. Name the classes alike in both (or ingest the target unlabelled)."
        )


def _check_inputs(method: Method, section: str, data: ShardDataset, real: ShardDataset | None) -> None:
    name = type(method).__name__
    if method.needs_labels and data.manifest.labels == "none":
        raise DataError(
            f"{data.folder}: {name} learns from source labels, and this data set has none. Put the images in one "
            "folder per class, or add a `label` to metadata.jsonl, and ingest again."
        )
    if method.needs_labels:
        data.labels_N  # noqa: B018 - a sealed set says so now, not after the set-up
    if method.needs_target and real is None:
        raise ParamsError(f"{section}: {name} adapts to a target; give one with `--target DIR`.")


def _check_guard(folder: Path, model: Any, data: ShardDataset) -> None:
    if not hasattr(model, "predict"):
        raise ParamsError(f"--guard {folder}: a guard must be a classifier; this is {model.card['method']['name']!r}.")
    if model.info.classes != data.info.classes:
        raise DataError(
            f"--guard {folder}: it knows the classes {model.info.classes}, the source has {data.info.classes}."
        )


def _versions(config: dict[str, Any]) -> dict[str, str]:
    """Versions of all that decides a training's result: ourselves, torch, kornia, and the plugins it uses."""
    used = {spec.distribution for spec in components().names_in("method", config)} - {"adaptgan"}
    named = {"adaptgan": __version__, "torch": torch.__version__, "kornia": version_of("kornia")}
    return named | {name: version_of(name) for name in sorted(used)}
