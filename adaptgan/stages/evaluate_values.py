"""`evaluate` for rows that learned values or masks: errors on the held-out real images, and nothing chosen.

The label-free scores that choose among classifiers are made of class probabilities; for values and masks there are
none here, so every row is shown and none is selected.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from adaptgan.data.dataset import ShardDataset
from adaptgan.datainfo import TaskName
from adaptgan.errors import AdaptganError, DataError
from adaptgan.files import read_json, staged, write_json
from adaptgan.metrics.selection import gap_closed
from adaptgan.metrics.values import bootstrap_ratio, overlaps, r_squared
from adaptgan.params import EvaluateSection, Params
from adaptgan.stages.base import Stage
from adaptgan.stages.rows import Row, load_rows, order_rows

REFERENCE = "constant"
"""The row of who looks at no image: the mean of the training values, or the commonest class of its pixels."""

_AT_ONCE = 256


def task_of_models(models: Path) -> TaskName:
    """What the rows in a folder have learned.

    Raises:
        AdaptganError: not all of them the same.
    """
    found: dict[TaskName, str] = {}
    for card in sorted(models.glob("*/model.json")):
        found.setdefault(read_json(card).get("data", {}).get("task", "classification"), card.parent.name)
    if len(found) > 1:
        listed = " and ".join(f"{name} ({task})" for task, name in found.items())
        raise AdaptganError(f"--models {models}: rows that learned different tasks cannot be in one table: {listed}.")
    return next(iter(found), "classification")


def evaluate_targets(
    params: Params,
    *,
    task: TaskName,
    source: Path,
    target: Path,
    models: Path,
    test: Path | None,
    out: Path,
    plots: Path,
    logs: Path = Path("reports/runs"),
) -> dict[str, Any]:
    """Measure every row's errors on the test images, and write metrics.json and the plots.

    Args:
        params: the parsed params.yaml.
        task: `regression` or `segmentation`.
        source: labelled synthetic images.
        target: unlabelled real images; what they are annotated with stays closed.
        models: folder whose subfolders are the rows.
        test: real images held out, annotated with `values` or `mask`.
        out: metrics.json to write.
        plots: folder of plots to write.
        logs: folder of training logs, for what each row cost.

    Returns:
        What metrics.json holds.

    Raises:
        AdaptganError: see the message.
    """
    from adaptgan.training.devices import pick_device

    if test is None:
        raise DataError(
            f"--test is missing: for a {task} `evaluate` has no label-free numbers. Give held-out real images that are "
            f"annotated with `{'values' if task == 'regression' else 'mask'}`."
        )
    options = params.pipeline.evaluate
    inputs = {"source": source, "target": target, "test": test}
    stage = Stage(
        "evaluate",
        "evaluate",
        options.model_dump(mode="json"),
        inputs | {"models": models},
        {"out": out, "plots": plots},
        seed=params.seed,
        tracking=params.pipeline.tracking,
    )
    with stage.running():
        # The one place here that unseals anything, and only the test set's.
        sets = {role: ShardDataset(path) for role, path in inputs.items() if role != "test"}
        sets["test"] = ShardDataset(test, unseal="evaluate")
        rows = load_rows(models, sets, logs, pick_device(options.device), options, task)
        measured = (_Values if task == "regression" else _Masks)(rows, sets, params.seed)
        result = _assemble(task, rows, measured, options, order_rows(rows, options, params.sections.get("task")))
        result["data"] = {role: {"count": len(data), "digest": data.digest} for role, data in sets.items()}
        with staged(plots) as folder:
            measured.write(folder)
        write_json(out, result)
        stage.results = {
            f"{measured.score}/{name}/{row}": scores[name][measured.score]
            for row, scores in measured.scores.items()
            for name in measured.names
            if scores[name][measured.score] is not None
        }
    _print(result, measured)
    return result


class _Values:
    """Mean absolute errors and R², of every value."""

    score, better, unit_line = "mae", -1, "mean absolute error, in the value's own unit"

    def __init__(self, rows: Mapping[str, Row], sets: Mapping[str, ShardDataset], seed: int) -> None:
        first = next(iter(rows.values())).reader.model.info
        self.names: tuple[str, ...] = first.values
        self.truth_ND = _truth(sets["test"], "regression", rows, lambda info: info.values)
        images = sets["test"].images_NCHW
        self.predicted = {name: _predict(row, images) for name, row in rows.items()}
        mean_D = sets["source"].targets("regression").mean(0, dtype=np.float64)
        self.predicted[REFERENCE] = np.broadcast_to(mean_D, self.truth_ND.shape)
        self.scores = {name: self._scores(values_ND, seed) for name, values_ND in self.predicted.items()}

    def _scores(self, predicted_ND: np.ndarray, seed: int) -> dict[str, Any]:
        errors_ND = np.abs(predicted_ND - self.truth_ND)
        scores = {}
        for number, name in enumerate(self.names):
            low, high = bootstrap_ratio(errors_ND[:, number], np.ones(len(errors_ND)), seed)
            scores[name] = {
                "mae": float(errors_ND[:, number].mean()),
                "interval": {"low": low, "high": high},
                "r2": r_squared(self.truth_ND[:, number], predicted_ND[:, number]),
            }
        return scores

    def write(self, folder: Path) -> None:
        """`errors.csv`: a line for each row and value; `predictions.csv`: for each test image, row and value."""
        _write_scores(folder / "errors.csv", "value", self.score, self.scores)
        lines = [
            [row, name, f"{truth:.6g}", f"{said:.6g}"]
            for row, predicted_ND in self.predicted.items()
            for number, name in enumerate(self.names)
            for truth, said in zip(self.truth_ND[:, number], predicted_ND[:, number], strict=True)
        ]
        _write_csv(folder / "predictions.csv", ["row", "value", "actual", "predicted"], lines)

    def shown(self, scores: Mapping[str, Any]) -> str:
        """One cell of the table."""
        span, r2 = scores["interval"], scores["r2"]
        return f"{scores['mae']:.3f} ({span['low']:.3f}–{span['high']:.3f})" + ("" if r2 is None else f", R² {r2:.3f}")


class _Masks:
    """Intersection over union of every class, over the pixels of all test images together."""

    score, better, unit_line = "iou", 1, "intersection over union"

    def __init__(self, rows: Mapping[str, Row], sets: Mapping[str, ShardDataset], seed: int) -> None:
        test = sets["test"]
        self.names = next(iter(rows.values())).classes
        truth_NHW = _truth(test, "segmentation", rows, lambda info: info.classes)
        self.scores: dict[str, dict[str, Any]] = {}
        for name, row in rows.items():
            shape = (-1, len(self.names), *truth_NHW.shape[1:])
            parts = [
                _predict(row, test.images_NCHW[start : start + _AT_ONCE]).reshape(shape).argmax(1)
                for start in range(0, len(test), _AT_ONCE)
            ]
            self.scores[name] = self._scores(truth_NHW, np.concatenate(parts), seed)
        commonest = np.bincount(sets["source"].targets("segmentation").ravel()).argmax()
        self.scores[REFERENCE] = self._scores(truth_NHW, np.full_like(truth_NHW, commonest), seed)

    def _scores(self, truth_NHW: np.ndarray, predicted_NHW: np.ndarray, seed: int) -> dict[str, Any]:
        shared_NK, either_NK = overlaps(truth_NHW, predicted_NHW, len(self.names))
        scores: dict[str, Any] = {}
        for number, name in enumerate(self.names):
            shared_N, either_N = shared_NK[:, number], either_NK[:, number]
            if not either_N.sum():  # neither there nor predicted: nothing to be right or wrong about
                scores[name] = {"iou": None, "interval": None}
                continue
            low, high = bootstrap_ratio(shared_N, either_N, seed)
            scores[name] = {"iou": float(shared_N.sum() / either_N.sum()), "interval": {"low": low, "high": high}}
        return scores

    def write(self, folder: Path) -> None:
        """`overlap.csv`: a line for each row and class."""
        _write_scores(folder / "overlap.csv", "class", self.score, self.scores)

    def shown(self, scores: Mapping[str, Any]) -> str:
        """One cell of the table."""
        if scores["iou"] is None:
            return "–"
        return f"{scores['iou']:.3f} ({scores['interval']['low']:.3f}–{scores['interval']['high']:.3f})"


def _truth(test: ShardDataset, task: TaskName, rows: Mapping[str, Row], names: Any) -> np.ndarray:
    """The test set's own measures; every row must predict the same, in the same order."""
    expected = names(test.info_for(task))
    for name, row in rows.items():
        if (found := names(row.reader.model.info)) != expected:
            raise DataError(
                f"the row {name!r} predicts {', '.join(found)}; --test {test.folder} is annotated with "
                f"{', '.join(expected)}. Annotate all data sets alike and train again."
            )
    return test.targets(task)


def _predict(row: Row, images_NCHW: np.ndarray) -> np.ndarray:
    """What a row says of uint8 images, float64, one flat line per image."""
    return row.reader.probabilities(images_NCHW)


def _assemble(
    task: TaskName, rows: Mapping[str, Row], measured: _Values | _Masks, options: EvaluateSection, order: Sequence[str]
) -> dict[str, Any]:
    oracle = next((name for name in order if rows[name].role == "oracle"), None)

    def closed(row: str, name: str) -> float | None:
        three = (measured.scores[one][name][measured.score] if one else None for one in (options.baseline, row, oracle))
        return gap_closed(*(None if score is None else measured.better * score for score in three))

    table: dict[str, Any] = {}
    for name in (*order, REFERENCE):
        table[name] = {"scores": measured.scores[name]}
        if isinstance(measured, _Masks):
            known = [scores["iou"] for scores in measured.scores[name].values() if scores["iou"] is not None]
            table[name]["mean_iou"] = float(np.mean(known))
        if name == REFERENCE:
            table[name] |= {"method": None, "role": "reference"}
            continue
        row = rows[name]
        table[name] |= {
            "gap_closed": {one: closed(name, one) for one in measured.names},
            "method": row.method,
            "role": row.role,
            "training_set": row.training_set,
            "uses_target": row.uses_target,
            "seconds": row.seconds,
            "alarms": row.card.get("alarms", []),
            "steps": row.card.get("steps"),
            "fingerprint": row.card.get("fingerprint"),
        }
    return {
        "task": task,
        "names": list(measured.names),
        "rows": table,
        "baseline": options.baseline,
        "oracle": oracle,
        "reference": REFERENCE,
        "selected": None,
    }


def _print(result: Mapping[str, Any], measured: _Values | _Masks) -> None:
    """A table of all rows, and what it does not say."""
    import sys

    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("row", "method", "trained on", *measured.names, "gap closed"):
        table.add_column(title, no_wrap=True)
    for name, row in result["rows"].items():
        learned = "target labels" if row["role"] == "oracle" else row.get("training_set") or "–"
        gaps = [value for value in row.get("gap_closed", {}).values() if value is not None]
        table.add_row(
            name,
            row["method"] or "–",
            learned + (", target" if row.get("uses_target") else ""),
            *(measured.shown(row["scores"][one]) for one in measured.names),
            ", ".join(f"{100 * gap:.0f}%" for gap in gaps),
        )
    width = None if sys.stdout.isatty() else 140
    console = Console(highlight=False, soft_wrap=True, width=width)
    console.print(table)
    console.print(f"{measured.unit_line}, with 95% bootstrap intervals; {REFERENCE!r} looks at no image")
    console.print(f"selected: none; there is no label-free selection for a {result['task']}")


def _write_scores(path: Path, kind: str, score: str, scores: Mapping[str, Mapping[str, Any]]) -> None:
    lines = [
        [row, name, one[score], one["interval"]["low"], one["interval"]["high"]]
        for row, named in scores.items()
        for name, one in named.items()
        if one[score] is not None
    ]
    _write_csv(path, ["row", kind, score, "low", "high"], lines)


def _write_csv(path: Path, header: Sequence[str], lines: Sequence[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *lines])
