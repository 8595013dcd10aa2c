"""The rows of the results table: trained models with what is known of how they were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from adaptgan import models as model_folders
from adaptgan.data.dataset import ShardDataset
from adaptgan.data.manifest import Manifest
from adaptgan.datainfo import TaskName
from adaptgan.errors import AdaptganError, DataError, nearest
from adaptgan.files import read_json
from adaptgan.params import EvaluateSection
from adaptgan.stages.inference import Reader


@dataclass
class Row:
    """One trained model, or what it was at a step of its training.

    Attributes:
        reader: runs it over images.
        card: its model.json.
        method: its method's name.
        classes: what its predictions mean.
        training_set: `source`, `adapted`, `target`, `test`, or the folder it was trained on; `labelled` when it was
            trained on a few labelled target images alone.
        uses_target: whether it saw unlabelled target images in training.
        labelled: how many labelled target images it saw, 0 when nobody knows any more; None: not one.
        role: `baseline`, `candidate`, or `oracle`: trained on target labels, never selectable.
        seconds: what its training took; None when its log is gone, and for snapshots.
        snapshot_of: the row whose training this is a step of; None for a row.
        folder: where the model lies, seen from the folder of all rows.
        validators: label-free scores.
        alarms: what went wrong, in training or in evaluation: `{"step", "alarm", "message"}`.
        largest_class: the class that most target images are predicted as, and their share.
        a_distance: proxy A-distance of its features between training set and target; None when not known.
        scores: accuracy on the test set and what belongs to it; empty without one.
    """

    reader: Reader
    card: dict[str, Any]
    method: str
    classes: tuple[str, ...]
    training_set: str
    uses_target: bool
    role: str
    seconds: float | None
    labelled: int | None = None
    snapshot_of: str | None = None
    folder: str = ""
    validators: dict[str, float | None] = field(default_factory=dict)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    largest_class: tuple[str, float] = ("", 0.0)
    a_distance: float | None = None
    scores: dict[str, Any] = field(default_factory=dict)


def check_classes(sets: Mapping[str, ShardDataset]) -> None:
    """All sets must know the same classes, in any order.

    Raises:
        DataError: they do not; the message names the classes that only one side has.
    """
    source = sets["source"]
    for role, data in sets.items():
        if set(data.classes) != set(source.classes):
            only_here = sorted(set(data.classes) - set(source.classes)) or "nothing"
            only_there = sorted(set(source.classes) - set(data.classes)) or "nothing"
            raise DataError(
                f"The class sets differ: only --{role} {data.folder} has {only_here}, only --source {source.folder} "
                f"has {only_there}. Name the classes alike in both and ingest again."
            )
        if role in ("adapted", "quarantine") and data.classes != source.classes:
            raise DataError(
                f"--{role} {data.folder} lists the classes in another order than --source {source.folder}: it was made "
                "from another data set. Run `adaptgan synthesize` again."
            )


def load_rows(
    folder: Path,
    sets: Mapping[str, ShardDataset],
    logs: Path,
    device: torch.device,
    options: EvaluateSection,
    task: TaskName = "classification",
) -> dict[str, Row]:
    """Every model in `folder`, by the name of its subfolder; all must have learned `task`.

    Raises:
        AdaptganError: there are none, the baseline is missing, or a model does not fit the data.
    """
    found = sorted(path.parent for path in folder.glob("*/model.json") if not path.parent.name.startswith("."))
    if not found:
        raise AdaptganError(
            f"--models {folder}: there are no trained models here (no */model.json). "
            "Train at least the baseline: `adaptgan train task.source … --out models/task/source`."
        )
    names = [path.name for path in found]
    if options.baseline not in names:
        raise AdaptganError(
            f"--models {folder}: the baseline row {options.baseline!r} is missing; every row is compared with it. "
            f"{nearest(options.baseline, names)} Train it, or name another in evaluate.baseline."
        )
    return {path.name: _row(path, sets, logs, device, options, task) for path in found}


def _row(
    path: Path,
    sets: Mapping[str, ShardDataset],
    logs: Path,
    device: torch.device,
    options: EvaluateSection,
    task: TaskName,
) -> Row:
    model = model_folders.load_model(path, device)
    _check_fits(path, model, sets["source"], task)
    inputs = model.card.get("inputs", {})
    # With labelled target images and no source, the card names those alone, or names them as the source too.
    few = inputs.get("labelled", {})
    learned = inputs.get("source", few)
    origin = _role_of(learned.get("digest"), sets)
    roles = (origin, _role_of(few.get("digest"), sets))
    seen_labels = [role for role in ("target", "test") if role in roles]
    if path.name == options.baseline:
        role = "baseline"
    elif path.name == options.oracle or seen_labels:
        role = "oracle"  # whoever learned from all of the target's labels is one, whatever its name
    else:
        role = "candidate"
    only_few = bool(few) and learned.get("digest") == few.get("digest")
    if role == "baseline" and (seen_labels or (few and not only_few)):
        raise AdaptganError(
            f"{path}: the baseline row was trained on the labels of --{[*seen_labels, 'labelled'][0]}; a "
            "baseline has seen source labels only. Train it on the source, or name another in evaluate.baseline."
        )
    timing = logs / str(model.card.get("section", path.name)) / "timing.json"
    return Row(
        reader=Reader(model, device, options.batch_size),
        card=model.card,
        method=model.card["method"]["name"],
        classes=tuple(model.info.classes),
        training_set=origin or ("labelled" if only_few else Path(learned.get("path", "unknown")).name),
        uses_target="target" in inputs,
        role=role,
        seconds=read_json(timing).get("seconds") if timing.is_file() else None,
        labelled=_count(few) if few else None,
        folder=path.name,
        alarms=list(model.card.get("alarms", [])),
    )


def _role_of(digest: str | None, sets: Mapping[str, ShardDataset]) -> str | None:
    return next((role for role, data in sets.items() if data.digest == digest), None)


def _count(labelled: Mapping[str, Any]) -> int:
    """How many labelled target images there were; 0 when neither the card nor a data set can tell."""
    if "count" in labelled:
        return int(labelled["count"])
    try:
        manifest = Manifest.read(Path(labelled["path"]))
    except (AdaptganError, KeyError):
        return 0
    return manifest.count if manifest.digest == labelled.get("digest") else 0


def load_snapshots(
    folder: Path, rows: Mapping[str, Row], device: torch.device, options: EvaluateSection
) -> dict[str, Row]:
    """What `training.snapshots` kept of every row that may be chosen, by the names `row@step`.

    An oracle's are left alone, and so is one of the last step: that is the row.

    Raises:
        AdaptganError: one is damaged.
    """
    found: dict[str, Row] = {}
    for name, row in rows.items():
        if row.role == "oracle":
            continue
        for path in sorted((folder / name / "snapshots").glob("[0-9]*/model.json")):
            step = int(path.parent.name)
            if step >= row.card.get("steps", step + 1):
                continue
            model = model_folders.load_model(path.parent, device)
            found[f"{name}@{step}"] = replace(
                row,
                reader=Reader(model, device, options.batch_size),
                card={**model.card, "steps": step},
                role="candidate",
                seconds=None,
                snapshot_of=name,
                folder=path.parent.relative_to(folder).as_posix(),
                alarms=[alarm for alarm in row.alarms if alarm.get("step") is None or alarm["step"] <= step],
                validators={},
                scores={},
            )
    return found


def load_judge(
    path: Path, sets: Mapping[str, ShardDataset], rows: Mapping[str, Row], device: torch.device, batch_size: int
) -> Reader:
    """The independent classifier that says whether labels survived.

    Raises:
        AdaptganError: it is not independent: it is one of the rows, or the classifier that the gate used.
    """
    model = model_folders.load_model(path, device)
    _check_fits(path, model, sets["source"])
    mark = model.card.get("fingerprint")
    used = {name: row.card.get("fingerprint") for name, row in rows.items()}
    if "adapted" in sets:
        used["the gate"] = sets["adapted"].manifest.origin.get("guard")
    for user, fingerprint in used.items():
        if mark is not None and fingerprint == mark:
            raise AdaptganError(
                f"--judge {path}: this model is also {user}; a judge must not have had a hand in what it judges. "
                "Train one with another seed: `adaptgan train task.judge … --out models/judge`."
            )
    return Reader(model, device, batch_size)


def _check_fits(path: Path, model: Any, source: ShardDataset, task: TaskName = "classification") -> None:
    if not hasattr(model, "predict"):
        raise AdaptganError(
            f"{path}: the method {model.card['method']['name']!r} does not classify; a row of the results table must. "
            "Move it out of this folder."
        )
    if model.info.task != task:
        raise AdaptganError(
            f"{path}: this model learned a {model.info.task}; the others here learned a {task}, and they are compared "
            "by that. Move it out of this folder."
        )
    mine, data = model.info, source.info
    if mine.task != "segmentation" and tuple(mine.classes) != tuple(data.classes):  # whose classes are of pixels
        raise DataError(
            f"{path}: the model knows the classes {', '.join(mine.classes) or 'none'}; {source.folder} has "
            f"{', '.join(data.classes)}. It was trained on other data: train it again."
        )
    if (mine.channels, mine.height, mine.width) != (data.channels, data.height, data.width):
        raise DataError(
            f"{path}: the model reads images of {mine.channels}×{mine.height}×{mine.width} (channels, height, width); "
            f"{source.folder} has {data.channels}×{data.height}×{data.width}. Train it again."
        )


def order_rows(rows: Mapping[str, Row], options: EvaluateSection, sections: Any) -> list[str]:
    """Baseline first, then candidates in the order of params.yaml, oracles last."""
    listed = list(sections) if isinstance(sections, Mapping) else []
    place = {"baseline": 0, "candidate": 1, "oracle": 2}

    def key(name: str) -> tuple[int, int, str]:
        return place[rows[name].role], listed.index(name) if name in listed else len(listed), name

    return sorted(rows, key=key)
