"""A tiny finished pipeline for tests of evaluate and report: data sets, trained rows, a judge and logs.

Three classes, each a bright square in its own place of a 12×12 image; the real domain is dimmer and noisier.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adaptgan.data.images import encode_png, to_float
from adaptgan.data.records import Record
from adaptgan.data.shards import ShardWriter, iter_records
from adaptgan.datainfo import DataInfo
from adaptgan.files import fingerprint, staged, write_json
from adaptgan.models import load_model, save_model
from adaptgan.params import Params, load
from adaptgan.plugins import components
from adaptgan.stages.evaluate import evaluate
from adaptgan.stages.train import split

CLASSES = ("a", "b", "c")
SEED = 3
VALIDATION = 0.2
CORNERS = {"a": (1, 1), "b": (1, 7), "c": (7, 4)}
METHOD = {
    "name": "supervised",
    "classifier": {"name": "conv_classifier", "widths": [8], "hidden": 12, "dropout": 0.0},
    "augmentation": "none",
    "ema": 0.5,
}
GATES = {
    "classifier_agreement": {
        "passed": 80,
        "rejected": 10,
        "share": 0.888889,
        "thresholds": {"min_confidence": 0.5},
        "by_class": {"a": 0.1, "b": 0.1, "c": 0.133333},
    },
    "edge_consistency": {
        "passed": 87,
        "rejected": 3,
        "share": 0.966667,
        "thresholds": {"threshold": 0.2},
        "by_class": {"a": 0.0, "b": 0.0, "c": 0.4},
        "for": ["boxes"],
    },
    "near_duplicates": {"passed": 90, "rejected": 0, "share": 1.0, "thresholds": {}, "by_class": {}},
}
"""What synthesize says of its gates."""


def refusal(number: int) -> dict[str, Any]:
    """Which gates rejected the record of this number in quarantine, and what they measured."""
    both = number < 3
    scores = {"classifier_agreement": 0.0625 + number / 100, "edge_consistency": 0.125 if both else 0.75}
    return {"gate": scores, "refused_by": ["classifier_agreement", *(["edge_consistency"] if both else [])]}


def draw(labels: np.ndarray, level: int, noise: float, seed: int, classes: Sequence[str] = CLASSES) -> np.ndarray:
    """uint8 images (N, 12, 12)."""
    rng = np.random.default_rng(seed)
    images = rng.normal(20, noise, (len(labels), 12, 12))
    for image, label in zip(images, labels, strict=True):
        top, left = np.array(CORNERS[classes[label]]) + rng.integers(0, 2, 2)
        image[top : top + 3, left : left + 3] += level
    return images.clip(0, 255).astype(np.uint8)


def write_set(
    folder: Path,
    images: np.ndarray,
    labels: np.ndarray | None,
    *,
    prefix: str,
    seal: bool = False,
    provenance: Sequence[Mapping[str, Any]] | None = None,
    origin: Mapping[str, Any] | None = None,
    classes: Sequence[str] = CLASSES,
) -> Path:
    """Write a data set through the real writer."""
    with staged(folder) as out, ShardWriter(out, classes, "sealed" if seal else "open", origin=origin) as writer:
        for i, image in enumerate(images):
            label = None if labels is None else int(labels[i])
            writer.write(Record(f"{prefix}{i:04d}", image, label, {}, dict(provenance[i]) if provenance else {}))
    return folder


def train_model(
    folder: Path,
    section: str,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    source: Path,
    target: Path | None = None,
    labelled: Path | None = None,
    steps: int = 40,
    seed: int = 0,
    snapshots: Sequence[int] = (),
    alarms: Sequence[Mapping[str, Any]] = (),
) -> None:
    """A real model folder after a few steps of Adam, with snapshots of some of them."""
    torch.manual_seed(seed)
    info = DataInfo(1, 12, 12, CLASSES)
    method = components().build("method", METHOD, section, [info]).train()
    optimizer = torch.optim.Adam(method.classifier.parameters(), 1e-2)
    x, y = to_float(torch.from_numpy(images)[:, None]), torch.from_numpy(labels)
    learn, held = split(len(images), VALIDATION, SEED)
    roles = {"source": source, "target": target, "labelled": labelled}
    card = {
        "section": section,
        "method": components().resolve("method", METHOD, section),
        "training": {"steps": steps, "validation": VALIDATION},
        "data": {"channels": 1, "height": 12, "width": 12, "classes": list(CLASSES)},
        "fingerprint": fingerprint(section, seed, steps),
        "seed": SEED,
        "inputs": {role: _input(path) for role, path in roles.items() if path},
        "versions": {"adaptgan": "0.1.0"},
        "scores": {},
    }
    with staged(folder) as out:
        for step in range(1, steps + 1):
            loss = torch.nn.functional.cross_entropy(method.classifier(x[learn]), y[learn])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            method.average.update(method.classifier)
            if step in snapshots:
                (out / "snapshots" / f"{step:06d}").mkdir(parents=True)
                save_model(method.eval(), card | {"steps": step}, out / "snapshots" / f"{step:06d}")
                method.train()
        with torch.inference_mode():
            right = (method.eval().predict(x[held]).argmax(1) == y[held]).float().mean().item()
        known = {"steps": steps, "scores": {"source_accuracy": right}, "alarms": list(alarms)}
        save_model(method, card | known, out)


def _input(path: Path) -> dict[str, str]:
    from adaptgan.data.manifest import Manifest

    return {"path": str(path), "digest": Manifest.read(path).digest}


def build(root: Path) -> None:
    """Everything that `evaluate` reads, below `root`."""
    labels = np.arange(90) % 3
    drawn, real_labels = draw(labels, 200, 4, 0), np.random.default_rng(1).integers(0, 3, 80)
    real, test_labels = draw(real_labels, 70, 40, 2), np.random.default_rng(3).integers(0, 3, 60)
    test, refined = draw(test_labels, 70, 40, 4), draw(labels, 80, 20, 5)
    data = root / "data"
    source = write_set(data / "source", drawn, labels, prefix="s", origin={"dataset": {"name": "squares"}})
    target = write_set(data / "target", real, real_labels, prefix="t", seal=True)
    write_set(data / "test", test, test_labels, prefix="e", seal=True)
    origin = {"model": "f" * 64, "guard": "0" * 64, "kept": 80, "quarantined": 10, "gates": GATES}
    history = [{"source_key": f"s{i:04d}", "model": "f" * 64, "seed": i} for i in range(90)]
    adapted = write_set(data / "adapted", refined[:80], labels[:80], prefix="r", provenance=history[:80], origin=origin)
    reasons = [entry | {"reason": "read as <b>, not a", **refusal(i)} for i, entry in enumerate(history[80:])]
    write_set(data / "quarantine", refined[80:], labels[80:], prefix="q", provenance=reasons, origin=origin)

    rows = root / "models" / "task"
    train_model(rows / "source", "task.source", drawn, labels, source=source, steps=40)
    train_model(rows / "adapted", "task.adapted", refined[:80], labels[:80], source=adapted)
    shuffled = np.random.default_rng(6).permutation(labels[:80])
    train_model(rows / "bad", "task.bad", refined[:80], shuffled, source=adapted, target=target, steps=6)
    train_model(rows / "oracle", "task.oracle", real, real_labels, source=target)
    train_model(root / "models" / "judge", "task.judge", drawn, labels, source=source, seed=9)

    for section in ("task.source", "task.adapted", "refiner"):
        log = root / "reports" / "runs" / section
        (log / "samples").mkdir(parents=True)
        lines = [{"step": s, "seconds": s / 10, "losses": {"classifier/task": 1 / s}} for s in range(1, 31)]
        (log / "losses.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        write_json(log / "timing.json", {"seconds": 12.5, "steps": 30, "resumed_from": 0, "images_per_second": 99.0})
    for step in (10, 20, 30):
        (root / "reports/runs/refiner/samples" / f"{step:06d}.png").write_bytes(encode_png(drawn[step]))
    tree = "tracking: {enabled: false}\nevaluate: {images: 60}\nreport: {title: 'Squares <script>', images: 9}\n"
    tree += "task: {source: {method: supervised}, oracle: {method: supervised}}\n"
    (root / "params.yaml").write_text(f"seed: {SEED}\n{tree}")


def paths(root: Path) -> dict[str, Path]:
    """What `evaluate` is given, all of it."""
    roles = {role: root / "data" / role for role in ("source", "target", "adapted", "test", "quarantine")}
    return roles | {
        "models": root / "models/task",
        "judge": root / "models/judge",
        "logs": root / "reports/runs",
        "out": root / "reports/metrics.json",
        "plots": root / "reports/plots",
    }


def params(root: Path, *overrides: str) -> Params:
    """Its params.yaml."""
    return load(root / "params.yaml", overrides)


def predictions(folder: Path, images: np.ndarray) -> np.ndarray:
    """What a saved model says of uint8 (N, H, W) images, by the shortest way there is."""
    with torch.inference_mode():
        answer: np.ndarray = (
            load_model(folder).predict(torch.from_numpy(images)[:, None].float() / 127.5 - 1).argmax(1).numpy()
        )
    return answer


def run(root: Path, *overrides: str, without: tuple[str, ...] = (), **instead: Path) -> dict[str, Any]:
    given = paths(root) | instead
    return evaluate(params(root, *overrides), **{k: v for k, v in given.items() if k not in without})


def held_out(root: Path) -> tuple[np.ndarray, np.ndarray]:
    records = list(iter_records(root / "data/test", unseal="evaluate"))
    return np.stack([r.image for r in records]), np.array([r.label for r in records])
