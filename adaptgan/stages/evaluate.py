"""The evaluate stage: trained rows and data sets in, honest numbers out.

Labels of the real domain are opened in one place, `_open`, for the held-out test set alone. The choice among rows and
snapshots is made from what they say about unlabelled images, before any test label is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from adaptgan.data.dataset import ShardDataset
from adaptgan.errors import AdaptganError, DataError, ParamsError, nearest
from adaptgan.files import write_json
from adaptgan.metrics.realism import Metric, explained, measure, measure_images, wants
from adaptgan.metrics.selection import Selection, gap_closed, oracle_choice
from adaptgan.metrics.spaces import PixelPCA
from adaptgan.metrics.task import accuracy, confusion, paired_difference, per_class, wilson_interval
from adaptgan.params import EvaluateSection, Params
from adaptgan.plugins import components
from adaptgan.reporting.plots import before_after, write_plots
from adaptgan.stages.base import Stage
from adaptgan.stages.candidates import choose, describe, raise_alarms
from adaptgan.stages.inference import Reader
from adaptgan.stages.maps import feature_map
from adaptgan.stages.rows import Row, check_classes, load_judge, load_rows, load_snapshots, order_rows
from adaptgan.stages.summary import headline, print_summary


def evaluate(
    params: Params,
    *,
    source: Path,
    target: Path,
    models: Path,
    out: Path,
    plots: Path,
    adapted: Path | None = None,
    test: Path | None = None,
    judge: Path | None = None,
    quarantine: Path | None = None,
    logs: Path = Path("reports/runs"),
) -> dict[str, Any]:
    """Measure every trained row, choose one without target labels, and write metrics.json and the plots.

    Snapshots that a training left are candidates as well, by the names `row@step`.

    Args:
        params: the parsed params.yaml.
        source: labelled synthetic images.
        target: unlabelled real images; its labels stay closed.
        models: folder whose subfolders are the rows.
        out: metrics.json to write.
        plots: folder of plots to write.
        adapted: refined images; without them there is no label preservation, and realism of the source alone.
        test: labelled real images held out; without them accuracies are null.
        judge: a classifier of the source that neither refiner nor gate has used.
        quarantine: images that the gate turned away, for label preservation before the gate.
        logs: folder of training logs, for what each row cost.

    Returns:
        What metrics.json holds.

    Raises:
        AdaptganError: see the message.
    """
    from adaptgan.training.devices import pick_device

    options = params.pipeline.evaluate
    given = {"source": source, "target": target, "adapted": adapted, "test": test, "quarantine": quarantine}
    inputs = {role: path for role, path in given.items() if path is not None}
    stage = Stage(
        "evaluate",
        "evaluate",
        options.model_dump(mode="json"),
        inputs | {"models": models} | ({"judge": judge} if judge else {}),
        {"out": out, "plots": plots},
        seed=params.seed,
        tracking=params.pipeline.tracking,
    )
    with stage.running():
        metrics = _metrics(options)
        sets = {role: _open(role, path) for role, path in inputs.items()}
        check_classes({role: data for role, data in sets.items() if role != "target" or data.classes})
        device = pick_device(options.device)
        rows = load_rows(models, sets, logs, device, options)
        snapshots = load_snapshots(models, rows, device, options)
        umpire = load_judge(judge, sets, rows, device, options.batch_size) if judge else None

        selection = choose(rows, snapshots, sets, options, params.seed)
        candidates = {**rows, **snapshots}
        confusions = _score(candidates, sets.get("test"), options.baseline)
        raise_alarms(candidates, options.baseline, selection.excluded)
        order = order_rows(rows, options, params.sections.get("task"))
        result = _assemble(candidates, selection, options, order)
        result |= _label_preservation(umpire, sets, options, params.seed)
        result["read_by_oracle"] = _read_by_oracle(rows, sets, options, params.seed)
        result["realism"] = _realism(metrics, rows, umpire, sets, options, params.seed)
        result["realism_numbers"] = explained(metrics.values())
        result["data"] = {role: {"count": len(data), "digest": data.digest} for role, data in sets.items()}

        grid = before_after(sets["source"], sets.get("adapted"), sets["target"], params.seed)
        pictured = (options.baseline, selection.selected)
        drawn = feature_map(candidates, pictured, sets, params.seed) if options.feature_map else None
        write_plots(plots, result, confusions, sets["source"].classes, grid, drawn)
        write_json(out, result)
        stage.results = headline(result)
        if (chosen := candidates[selection.selected]).snapshot_of:
            stage.results["selected_model"] = chosen.folder
    print_summary(result)
    return result


def _open(role: str, path: Path) -> ShardDataset:
    """A data set; the one place that unseals labels, and only the test set's."""
    data = ShardDataset(path, unseal="evaluate" if role == "test" else None)
    if role != "target" and role != "quarantine" and not data.has_labels:
        raise DataError(
            f"--{role} {path}: this data set has no labels, and `evaluate` compares predictions with them. "
            + ("Leave --test out to get the label-free numbers alone." if role == "test" else "Ingest it with labels.")
        )
    return data


def _score(rows: dict[str, Row], test: ShardDataset | None, baseline: str) -> dict[str, np.ndarray]:
    """Read every row's predictions against the test labels; confusion counts by row."""
    if test is None:
        return {}
    any_row = next(iter(rows.values()))
    # The test set may list the same classes in another order; labels are translated by name.
    to_row_K = np.array([any_row.classes.index(name) for name in test.classes])
    labels_N = to_row_K[test.labels_N]
    before_N = rows[baseline].reader.predictions(test.images_NCHW)
    confusions = {}
    for name, row in rows.items():
        predictions_N = before_N if name == baseline else row.reader.predictions(test.images_NCHW)
        right = int((predictions_N == labels_N).sum())
        low, high = wilson_interval(right, len(labels_N))
        row.scores = {
            "accuracy": accuracy(labels_N, predictions_N),
            "interval": {"low": low, "high": high},
            "per_class": per_class(labels_N, predictions_N, row.classes),
        }
        if name != baseline:
            gain = paired_difference(labels_N, before_N, predictions_N)
            row.scores["gain"] = dict(zip(("mean", "low", "high"), gain, strict=True))
        confusions[name] = confusion(labels_N, predictions_N, len(row.classes))
    return confusions


def _assemble(
    candidates: dict[str, Row], selection: Selection, options: EvaluateSection, order: list[str]
) -> dict[str, Any]:
    """The part of metrics.json that is about rows and snapshots."""
    every = {name: describe(row, selection, name) for name, row in candidates.items()}
    table = {name: every[name] for name in order}
    oracle = (
        options.oracle if options.oracle in table else next((n for n in order if table[n]["role"] == "oracle"), None)
    )
    accuracies = {name: entry["accuracy"] for name, entry in every.items()}
    return {
        "rows": table,
        "snapshots": {name: entry for name, entry in every.items() if entry["snapshot_of"]},
        "baseline": options.baseline,
        "oracle": oracle,
        "selected": selection.selected,
        "selection": {
            "validators": list(selection.validators),
            "left_out": selection.left_out,
            "ranks": selection.ranks,
            "excluded": selection.excluded,
        },
        "gap_closed": gap_closed(
            accuracies[options.baseline], accuracies[selection.selected], accuracies[oracle] if oracle else None
        ),
        "oracle_choice": oracle_choice(
            {name: value for name, value in accuracies.items() if every[name]["role"] != "oracle"}, selection.selected
        ),
    }


def _label_preservation(
    judge: Reader | None, sets: dict[str, ShardDataset], options: EvaluateSection, seed: int
) -> dict[str, Any]:
    """How often the judge still reads the label that an adapted image carries."""
    result: dict[str, Any] = {
        "label_preservation": None,
        "label_preservation_before_gate": None,
        "judge_on_source": None,
        "quarantined": None,
    }
    adapted, held = sets.get("adapted"), sets.get("quarantine")
    if adapted is None:
        return result
    refused = len(held) if held is not None else adapted.manifest.origin.get("quarantined")
    if refused is not None:
        result["quarantined"] = refused / max(1, refused + len(adapted))
    if judge is None:
        return result
    kept = int((judge.predictions(adapted.images_NCHW) == adapted.labels_N).sum())
    result["label_preservation"] = kept / len(adapted)
    result["judge_on_source"] = _judge_on_source(judge, sets["source"], options.images, seed)
    if held is not None:
        lost = int((judge.predictions(held.images_NCHW) == held.labels_N).sum()) if len(held) else 0
        result["label_preservation_before_gate"] = (kept + lost) / (len(adapted) + len(held))
    return result


def _judge_on_source(judge: Reader, source: ShardDataset, count: int, seed: int) -> float:
    """What a reader makes of a labelled set, on a random part of it; on the source, the most to hope for."""
    picked = np.sort(np.random.default_rng(seed).permutation(len(source))[:count])
    return accuracy(source.labels_N[picked], judge.predictions(source.images_NCHW[picked]))


def _read_by_oracle(
    rows: dict[str, Row], sets: dict[str, ShardDataset], options: EvaluateSection, seed: int
) -> dict[str, float] | None:
    """The stricter second opinion: how often a reader of real images agrees with synthetic and adapted labels.

    It has never seen a font, so it errs on synthetic images too; what counts is the difference.
    """
    oracle = rows.get(options.oracle)
    if oracle is None or oracle.role != "oracle":
        return None
    both = [role for role in ("source", "adapted") if role in sets]
    return {role: _judge_on_source(oracle.reader, sets[role], options.images, seed) for role in both}


def _metrics(options: EvaluateSection) -> dict[str, Metric]:
    """The metrics of realism, built before anything is loaded; those of class probabilities are refused."""
    registry = components()
    metrics: dict[str, Metric] = {}
    for i, config in enumerate(options.realism):
        name = config if isinstance(config, str) else str(config.get("name"))
        metrics[name] = registry.build("metric", config, f"evaluate.realism[{i}]")
        if wants(metrics[name]) == "probabilities":
            raise ParamsError(
                f"evaluate.realism[{i}]: {name} is measured on class probabilities; `evaluate` compares features and "
                "images. `adaptgan realism` measures it."
            )
    return metrics


def _realism(
    metrics: dict[str, Metric],
    rows: dict[str, Row],
    judge: Reader | None,
    sets: dict[str, ShardDataset],
    options: EvaluateSection,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Distances of source and adapted images to real ones, in every feature space there is, and as images."""
    compared: tuple[str, ...] = ("target", "source", "adapted")
    images = {role: _sample(sets[role], options.images, seed) for role in compared if role in sets}
    spaces: dict[str, Any] = {}
    if rows[options.baseline].reader.has_features:
        spaces["baseline"] = rows[options.baseline].reader.features
    if judge is not None and judge.has_features:
        spaces["judge"] = judge.features
    spaces["pixels"] = PixelPCA(images["target"])
    if options.features not in spaces:
        why = "no --judge was given" if options.features == "judge" and judge is None else "that model has no features"
        raise AdaptganError(
            f"evaluate.features: {options.features!r} cannot be used: {why}. {nearest(options.features, spaces)}"
        )
    features = {name: {role: space(part) for role, part in images.items()} for name, space in spaces.items()}
    of_images = {name: metric for name, metric in metrics.items() if wants(metric) == "images"}
    of_features = {name: metric for name, metric in metrics.items() if name not in of_images}
    with threadpool_limits(1):  # many small matrices: threads would mostly wait for each other
        result = measure(features, "target", options.features, of_features, seed)
    for role, numbers in measure_images(images, "target", of_images, seed).items():
        result[role] |= numbers
    return result


def _sample(data: ShardDataset, count: int, seed: int) -> np.ndarray:
    """A random subset of a data set's images, uint8 NCHW."""
    if len(data) <= count:
        return np.asarray(data.images_NCHW)
    picked = np.random.default_rng(seed).choice(len(data), count, replace=False)
    return np.asarray(data.images_NCHW[np.sort(picked)])
