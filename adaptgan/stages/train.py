"""The train stage: data and a method in, a model folder and its log out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from adaptgan import __version__
from adaptgan.data.augmentation import check_keeps_geometry
from adaptgan.data.dataset import ShardDataset
from adaptgan.data.loader import Loader
from adaptgan.data.sequences import Sequences
from adaptgan.data.transforms import build_transforms, check_transforms_keep_geometry
from adaptgan.datainfo import TaskName
from adaptgan.errors import ComponentError, DataError, ParamsError, SealedLabelsError
from adaptgan.files import fingerprint, scratch, staged
from adaptgan.methods.base import Guard, Method
from adaptgan.methods.generative import GenerativeMethod
from adaptgan.models import load_model, save_model
from adaptgan.params import Params, Training, TrainSection
from adaptgan.plugins import TRAINING_HOOKS, components, plugins, version_of
from adaptgan.stages.base import Stage
from adaptgan.stages.conditions import encoded_conditions
from adaptgan.training.checkpoints import exclusive
from adaptgan.training.devices import make_fabric, pick_device, pick_precision
from adaptgan.training.loop import Feeds, fit
from adaptgan.training.run import Run
from adaptgan.training.seeding import derive, seed_all


def train(
    params: Params,
    section: str,
    *,
    out: Path,
    source: Path | None = None,
    target: Path | None = None,
    labelled: Path | None = None,
    guard: Path | None = None,
    oracle: bool = False,
    log: Path | None = None,
) -> None:
    """Train the method of a section.

    Args:
        params: the parsed params.yaml.
        section: its train section, such as `refiner` or `task.dann`.
        out: model folder to write.
        source: labelled data set.
        target: unlabelled data set of the real domain; its labels are never opened.
        labelled: a few labelled images of the real domain, beside the source or in its place.
        guard: a trained classifier of the source, for methods that ask one; a generator's images are watched by it.
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

    if source is None and labelled is None:
        raise ParamsError(f"{section}: nothing to learn from. Give a labelled data set: `--source DIR`.")
    sets = {
        role: ShardDataset(path, unseal="oracle" if oracle and role == "source" else None)
        for role, path in (("source", source), ("target", target), ("labelled", labelled))
        if path is not None
    }
    data = _learned_from(sets)
    _check_domains(data, [other for other in sets.values() if other is not data])
    device = pick_device(training.device)
    precision = pick_precision(training.precision, device)
    inputs = {role: {"path": str(one.folder), "digest": one.digest} for role, one in sets.items()}
    frozen = Guard()
    if guard is not None:
        frozen = Guard(load_model(guard))
        inputs["guard"] = {"path": str(guard), "digest": frozen.model.card["fingerprint"]}
        _check_guard(guard, frozen.model, data, config)

    seed_all(params.seed, section, "weights")
    learns = _task(config, options.learns, section)
    info = data.info_for(learns)
    if not getattr(registry.load(registry.find("method", config["name"])), "needs_pairs", False):
        info = replace(info, paired=0)
    if frozen.model is not None and learns == "classification" and not info.classes:
        info = replace(info, classes=frozen.model.info.classes)  # those that the guard tells apart
    method: Method = registry.build("method", config, f"{section}.method", [info, frozen])
    method.info = info
    if isinstance(method, GenerativeMethod):
        method.guard = frozen
    _check_inputs(method, section, sets, learns)
    if learns != "classification":
        check_transforms_keep_geometry(training.transforms)
    if build_transforms(training.target_transforms, "training.target_transforms") and not method.needs_target:
        raise ParamsError(f"{section}.training.target_transforms: {config['name']!r} learns from no target images.")
    versions = _versions(config)
    resolved = {"method": config, "learns": learns, "training": training.model_dump(mode="json")}
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    digests = {role: value["digest"] for role, value in inputs.items()}
    # Alarms change no weight: a run that one stopped goes on when `on_alarm` or `on_collapse` is changed to `warn`.
    decisive = resolved | {"training": training.model_dump(mode="json", exclude={"on_alarm", "on_collapse"})}
    identity = fingerprint(section, decisive, digests, versions, params.seed, device.type, precision, world_size)

    log = log or Path("reports/runs") / section
    folder = scratch() / "runs" / identity[:20]
    stage = Stage(
        "train",
        section,
        {**resolved, "precision": precision, "fingerprint": identity},
        {role: one.folder for role, one in sets.items()} | ({"guard": guard} if guard else {}),
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
        card = {
            "section": section,
            **resolved,
            "data": asdict(info),
            "fingerprint": identity,
            "seed": params.seed,
            "inputs": inputs,
            "versions": versions,
            "precision": precision,
        }

        def keep(folder: Path) -> None:
            known = {"steps": run.step, "scores": run.scores, "alarms": run.alarms, "plugins": plugins().record()}
            with staged(folder) as result:
                save_model(method, card | known, result)
                if folder == out and (run.folder / "snapshots").is_dir():
                    shutil.copytree(run.folder / "snapshots", result / "snapshots")

        with _feeds(fabric, sets, training, method, params.seed, learns) as feeds:
            fit(fabric, run, feeds, training, params.seed, keep)
        if fabric.is_global_zero:
            keep(out)
        stage.results = {**run.scores, "steps": run.steps, "train_seconds": round(run.seconds, 2)}
        plugins().fire("adaptgan_after_train", run=run)
        fabric.barrier()
    if rank == 0:
        shutil.rmtree(folder, ignore_errors=True)


class _feeds:  # noqa: N801 - reads as a function
    """Loaders for the length of a training; a held-out share of the source is kept for scoring."""

    def __init__(
        self,
        fabric: Fabric,
        sets: Mapping[str, ShardDataset],
        training: Training,
        method: Method,
        seed: int,
        task: TaskName,
    ) -> None:
        self.loaders: dict[str, Loader] = {}
        self.args = (fabric, sets, training, method, seed, task)

    def __enter__(self) -> Feeds:
        fabric, sets, training, method, seed, task = self.args
        if training.batch_size % fabric.world_size:
            raise ParamsError(
                f"training.batch_size: {training.batch_size} cannot be split evenly over {fabric.world_size} processes."
            )
        data = _learned_from(sets)
        sequences = Sequences(data, method.frames, method.frame_order) if method.frames else None
        if sequences is None:
            learn, held = split(len(data), training.validation, seed)
        else:  # frames of one sequence are too much alike to be on both sides
            parts = split(sequences.of_N.max() + 1, training.validation, seed)
            drawable = sequences.drawable
            learn, held = (drawable[np.isin(sequences.of_N[drawable], part)] for part in parts)
        conditions = encoded_conditions(method, data)
        common: dict[str, Any] = {
            "batch_size": training.batch_size,
            "seed": seed,
            "device": fabric.device,
            "rank": fabric.global_rank,
            "world_size": fabric.world_size,
            "loading": training.loading,
            "workers": training.workers,
            "task": task,
        }
        truth = data.has_labels or task != "classification"  # values and masks need no class
        with_labels: dict[str, Any] = {
            "labels": truth,
            "transforms": training.transforms,
            "pairs": method.needs_pairs,
            "conditions": conditions,
            "sequences": sequences,
        }
        self.loaders["source"] = Loader(data, indices=learn, salt="source", **with_labels, **common)
        if "target" in sets and method.needs_target:
            self.loaders["target"] = Loader(
                sets["target"], labels=False, transforms=training.target_transforms, salt="target", **common
            )
        if "labelled" in sets and sets["labelled"] is not data:
            self.loaders["labelled"] = Loader(sets["labelled"], salt="labelled", **common)
        held_out = self.loaders["source"].side(held, np.arange(len(held))) if len(held) else None
        return Feeds(**self.loaders, held_out=held_out)

    def __exit__(self, *_: object) -> None:
        for loader in self.loaders.values():
            loader.close()


def _learned_from(sets: Mapping[str, ShardDataset]) -> ShardDataset:
    """The source; where there is none, the few labelled images stand in for it."""
    return sets["source"] if "source" in sets else sets["labelled"]


def split(count: int, validation: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices to learn from and indices to score on, both sorted; the same for equal arguments."""
    order = np.random.Generator(np.random.Philox(derive(seed, "validation"))).permutation(count)
    held = int(count * validation)
    return np.sort(order[held:]), np.sort(order[:held])


def _check_domains(data: ShardDataset, others: Sequence[ShardDataset]) -> None:
    mine = data.info
    for other in others:
        theirs = other.info
        if (mine.channels, mine.height, mine.width) != (theirs.channels, theirs.height, theirs.width):
            raise DataError(
                f"{data.folder} has images of {mine.channels}×{mine.height}×{mine.width}, {other.folder} of "
                f"{theirs.channels}×{theirs.height}×{theirs.width} (channels, height, width). Ingest both with the "
                "same `size` and `mode`."
            )
        if mine.classes and theirs.classes and mine.classes != theirs.classes:
            only_mine = sorted(set(mine.classes) - set(theirs.classes))
            only_theirs = sorted(set(theirs.classes) - set(mine.classes))
            raise DataError(
                f"The class sets differ: only {data.folder} has {only_mine or 'none'}, only {other.folder} has "
                f"{only_theirs or 'none'}. Name the classes alike in both (or ingest the target unlabelled)."
            )


def _task(config: dict[str, Any], asked: TaskName | None, section: str) -> TaskName:
    """What to learn; a method that cannot learn this kind of truth says so before anything is built."""
    registry = components()
    method: Any = registry.load(registry.find("method", config["name"]))
    task = asked or _tasks(method)[0]
    if task not in _tasks(method):
        raise ParamsError(
            f"{section}.learns: the method {config['name']!r} learns {' or '.join(_tasks(method))}, not {task}. "
            f"Methods that do: {_methods(lambda other: task in _tasks(other))}."
        )
    return task


def _tasks(method: Any) -> tuple[TaskName, ...]:
    tasks: tuple[TaskName, ...] = getattr(method, "tasks", ("classification",))
    return tasks


def _methods(able: Callable[[Any], bool]) -> str:
    """The names of the methods that can do something, for a message."""
    names = []
    for spec in components().specs("method"):
        try:
            method = components().load(spec)
        except ComponentError:  # a broken plugin is no answer here, and no reason to stop either
            continue
        if able(method):
            names.append(spec.name)
    return ", ".join(names)


def _check_inputs(method: Method, section: str, sets: Mapping[str, ShardDataset], task: TaskName) -> None:
    name = type(method).__name__
    data = _learned_from(sets)
    hint = " Or let a classifier read them: `--guard DIR`." if isinstance(method, GenerativeMethod) else ""
    if task == "classification" and method.needs_labels and data.manifest.labels == "none":
        raise DataError(
            f"{data.folder}: {name} learns from source labels, and this data set has none. Put the images in one "
            f"folder per class, or add a `label` to metadata.jsonl, and ingest again.{hint}"
        )
    if method.needs_labels:
        try:
            data.targets(task)  # a sealed set says so now, not after the set-up
        except SealedLabelsError as error:
            raise SealedLabelsError(f"{error}{hint}") from None
    if method.needs_pairs and not data.info.paired:
        data.paired_NCHW  # noqa: B018 - says what is missing
    for condition in method.conditions:
        data.annotations(condition)  # says what is missing
    if method.needs_target and "target" not in sets:
        raise ParamsError(f"{section}: {name} adapts to a target; give one with `--target DIR`.")
    labelled = sets.get("labelled")
    if labelled is None or labelled is data:
        pass
    elif not method.takes_labelled:
        raise ParamsError(
            f"{section}: {name} makes no use of --labelled beside --source. "
            f"Methods that do: {_methods(lambda other: getattr(other, 'takes_labelled', False))}."
        )
    elif labelled.info_for(task).values != data.info_for(task).values:
        raise DataError(
            f"{labelled.folder} has the values {', '.join(labelled.info_for(task).values)}, {data.folder} has "
            f"{', '.join(data.info_for(task).values)}. Annotate both alike."
        )
    if task != "classification":
        for option in ("augmentation", "weak_augmentation"):
            check_keeps_geometry(getattr(method, option, None), f"{section}.method.{option}")


def _check_guard(folder: Path, model: Any, data: ShardDataset, config: dict[str, Any]) -> None:
    if not hasattr(model, "predict"):
        raise ParamsError(f"--guard {folder}: a guard must be a classifier; this is {model.card['method']['name']!r}.")
    registry = components()
    method = registry.load(registry.find("method", config["name"]))
    if getattr(method, "labels_are_domains", False):
        return
    known = data.info_for("segmentation").classes if model.info.task == "segmentation" else data.info.classes
    if known and model.info.classes != known:
        raise DataError(f"--guard {folder}: it knows the classes {model.info.classes}, the source has {known}.")


def _versions(config: dict[str, Any]) -> dict[str, str]:
    """Versions of all that decides a training's result: ourselves, torch, kornia, and plugins: used, or with hooks."""
    used = {spec.distribution for spec in components().names_in("method", config)} - {"adaptgan"}
    named = {"adaptgan": __version__, "torch": torch.__version__, "kornia": version_of("kornia")}
    return named | {name: version_of(name) for name in sorted(used)} | plugins().deciding(TRAINING_HOOKS)
