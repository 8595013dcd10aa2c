"""The report stage: everything that was measured, on one page that opens anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from adaptgan.data.dataset import ShardDataset
from adaptgan.errors import DataError, ParamsError
from adaptgan.files import read_json, scratch, write_atomic
from adaptgan.params import Params
from adaptgan.plugins import plugins, version_of
from adaptgan.reporting import words
from adaptgan.reporting.beside import THIS
from adaptgan.reporting.beside import beside as side_by_side
from adaptgan.reporting.charts import HEIGHT, WIDTH, axis, curves
from adaptgan.reporting.entries import alarms, alarms_of_trainings, chosen, shown
from adaptgan.reporting.feature_map import SIDE, panels
from adaptgan.reporting.gallery import films, wipe
from adaptgan.reporting.measures import SETS, further
from adaptgan.reporting.page import render
from adaptgan.reporting.turned_away import turned_away
from adaptgan.stages.base import Stage

EXAMPLES = 12
"""Rejected images that are shown of each gate."""
SHOWN_VERSIONS = ("adaptgan", "torch", "torchvision", "kornia", "numpy", "scikit-learn", "dvc", "mlflow")


def report(
    params: Params,
    *,
    metrics: Path,
    plots: Path,
    runs: Path,
    source: Path,
    target: Path,
    out: Path,
    adapted: Path | None = None,
    quarantine: Path | None = None,
    test: Path | None = None,
    beside: Sequence[str] = (),
) -> None:
    """Write the page.

    Args:
        params: the parsed params.yaml.
        metrics: metrics.json of `evaluate`.
        plots: its plots folder.
        runs: folder of training logs.
        source: labelled synthetic images.
        target: unlabelled real images.
        out: the page to write.
        adapted: refined images, shown beside what they were made from.
        quarantine: images that the gate turned away.
        test: the test set; only its size and digest are shown, its labels stay closed.
        beside: other runs whose tables are shown beside this one's, `NAME=metrics.json` each.

    Raises:
        AdaptganError: see the message.
    """
    options = params.pipeline.report
    given = {"source": source, "target": target, "test": test, "adapted": adapted, "quarantine": quarantine}
    inputs = {role: path for role, path in given.items() if path is not None}
    others = _named(beside)
    stage = Stage(
        "report",
        "report",
        options.model_dump(mode="json"),
        inputs | {"metrics": metrics, "plots": plots, "runs": runs, **{f"beside {n}": p for n, p in others.items()}},
        {"out": out},
        seed=params.seed,
        tracking=params.pipeline.tracking,
    )
    with stage.running():
        result = _read(metrics, plots)
        sets = {role: ShardDataset(path) for role, path in inputs.items()}
        refined, refused = sets.get("adapted"), sets.get("quarantine")
        told = alarms(result)
        context = {
            "title": options.title,
            "metrics": result,
            "rows": result["rows"],
            "shown": shown(result),
            "chosen": chosen(result),
            "beside": side_by_side(result, {name: _read(path, plots) for name, path in others.items()}),
            "others": others,
            "alarms": told + alarms_of_trainings(_raised(runs), told),
            "panels": panels(plots / "feature_map.json"),
            "side": SIDE,
            "sets": [_about(role, data, inputs[role]) for role, data in sets.items()],
            "origin": refined.manifest.origin if refined is not None else {},
            "wipe": wipe(sets["source"], refined, sets["target"], options.images, params.seed) if refined else None,
            "turned_away": turned_away(sets["source"], refined, refused, EXAMPLES, params.seed),
            "confusions": _confusions(plots, result),
            "axis": axis(shown(result)),
            "runs": _runs(runs),
            "films": films(runs),
            "box": (WIDTH, HEIGHT),
            "stages": _stages(),
            "words": _words(params, result, refined),
            "measures": further(result),
            "params": yaml.safe_dump(_plain(params), sort_keys=False, allow_unicode=True, width=100),
            "versions": _versions(),
            "set_names": SETS,
            "features": params.pipeline.evaluate.features,
            "tracking": params.pipeline.tracking,
            "paths": {role: str(path) for role, path in stage.inputs.items()} | {"out": str(out)},
        }
        write_atomic(out, render(context))
        stage.results = {"bytes": out.stat().st_size}
    print_where(out, params)


def _read(metrics: Path, plots: Path) -> dict[str, Any]:
    result: dict[str, Any] = read_json(metrics)
    if (task := result.get("task", "classification")) != "classification":
        raise DataError(
            f"{metrics}: the page shows classifiers, and these rows learned a {task}. `adaptgan evaluate` prints "
            f"their table; the numbers are in this file and in {plots}."
        )
    if "oracle_choice" not in result:
        raise DataError(f"{metrics}: another version of adaptgan wrote this. Run `adaptgan evaluate` again.")
    return result


def _named(beside: Sequence[str]) -> dict[str, Path]:
    """Other runs' metrics.json by name."""
    others: dict[str, Path] = {}
    for argument in beside:
        name, equals, path = argument.partition("=")
        if not (equals and name and path):
            raise ParamsError(f"--beside {argument}: expected `NAME=metrics.json`; the page shows the name.")
        if name in others or name == THIS:
            raise ParamsError(f"--beside {argument}: there is a run called {name!r} already. Name each differently.")
        others[name] = Path(path)
    return others


def print_where(out: Path, params: Params) -> None:
    """Say where the page is, and how to look at the runs behind it."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"report: {out} (open it in a browser; it needs nothing else)")
    tracking = params.pipeline.tracking
    if tracking.enabled:
        console.print(f"runs:   mlflow ui --backend-store-uri {tracking.uri}")


def _about(role: str, data: ShardDataset, path: Path) -> dict[str, Any]:
    image, origin = data.manifest.image, data.manifest.origin
    dataset = origin.get("dataset")
    name = dataset.get("name") if isinstance(dataset, dict) else dataset
    return {
        "role": role,
        "path": str(path),
        "count": len(data),
        "size": f"{image.height} × {image.width}, {'grey' if image.mode == 'L' else 'colour'}" if image else "",
        "classes": len(data.classes),
        "labels": data.manifest.labels,
        "digest": data.digest,
        "bytes": sum(shard.bytes for shard in data.manifest.shards),
        "made": name or ("generated" if "noise" in origin else "refined" if origin.get("model") else ""),
    }


def _confusions(plots: Path, result: dict[str, Any]) -> dict[str, Any] | None:
    """Counts of baseline and selected row; None when there was no test set."""
    table = read_json(plots / "confusion.json")
    names = list(dict.fromkeys([result["baseline"], result["selected"]]))
    shown = {name: table["rows"][name] for name in names if name in table["rows"]}
    return {"classes": table["classes"], "rows": shown} if shown else None


def _runs(folder: Path) -> list[dict[str, Any]]:
    """Losses and timing of every training: the refiner first, then the rows, those with most losses first."""
    found = []
    for path in sorted(folder.glob("*/losses.jsonl")):
        timing = path.parent / "timing.json"
        found.append(
            {
                "name": path.parent.name,
                "curves": curves(path),
                "timing": read_json(timing) if timing.is_file() else {},
            }
        )
    return sorted(found, key=lambda run: (run["name"].startswith("task"), -len(run["curves"]), run["name"]))


def _raised(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Every training's alarms, by its section."""
    return {path.parent.name: read_json(path) for path in sorted(folder.glob("*/alarms.json"))}


def _stages() -> list[dict[str, Any]]:
    """What each stage cost when it last ran, in the order they finished; this one is not over yet."""
    found = [read_json(path) for path in sorted((scratch() / "stages").glob("*.json"))]
    return sorted((entry for entry in found if entry["stage"] != "report"), key=lambda entry: entry["finished"])


def _words(params: Params, result: dict[str, Any], adapted: ShardDataset | None) -> dict[str, Any]:
    guard = adapted.manifest.origin.get("guard") if adapted is not None else None
    main = params.pipeline.evaluate.features
    guarded = main == "baseline" and guard is not None and guard == result["rows"][result["baseline"]]["fingerprint"]
    return {
        "title": words.title(result),
        "headline": words.headline(result),
        "choice": words.choice(result),
        "refinement": words.refinement(result, guard),
        "labels": words.labels(result),
        "realism": words.realism(result, main, guarded),
    }


def _plain(params: Params) -> dict[str, Any]:
    return {"seed": params.seed, **params.sections} | params.pipeline.model_dump(mode="json", exclude={"seed"})


def _versions() -> dict[str, str]:
    import platform

    used = dict(requirement.split("==", 1) for requirement in plugins().active())
    return {"python": platform.python_version()} | {name: version_of(name) for name in SHOWN_VERSIONS} | used
