"""A training's log folder: losses.jsonl, losses.csv, samples/*.png, timing.json, and alarms.json if there were any.

Written with or without MLflow.
"""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaptgan.files import write_atomic, write_json

if TYPE_CHECKING:
    import torch

    from adaptgan.training.run import Run


def start(run: Run) -> None:
    """Write what a resumed run already has; what an interrupted process logged beyond its checkpoint goes.

    The image grids come from the run's scratch folder: DVC empties a stage's outputs before it runs again.
    """
    write_atomic(run.log / "losses.jsonl", "".join(_line(entry) for entry in run.history))
    (run.log / "alarms.json").unlink(missing_ok=True)
    add_alarms(run)
    shutil.rmtree(run.log / "samples", ignore_errors=True)
    for grid in sorted((run.folder / "samples").glob("*.png")):
        if int(grid.stem) <= run.step:
            write_atomic(run.log / "samples" / grid.name, grid.read_bytes())
        else:
            grid.unlink()


def add_losses(run: Run) -> None:
    """Append the newest read-out."""
    with (run.log / "losses.jsonl").open("a") as file:
        file.write(_line(run.history[-1]))


def add_alarms(run: Run) -> None:
    """Write all alarms so far."""
    if run.alarms:
        write_json(run.log / "alarms.json", run.alarms)


def add_samples(run: Run, step: int, images: dict[str, torch.Tensor]) -> Path:
    """Write a grid of named rows; its path."""
    from adaptgan.tracking.grid import labelled_grid

    content = io.BytesIO()
    labelled_grid(images).save(content, "PNG")
    for folder in (run.folder, run.log):
        path = folder / "samples" / f"{step:06d}.png"
        write_atomic(path, content.getvalue())
    return path


def finish(run: Run) -> None:
    """Write what the training took, over all interruptions, and the losses once more as `dvc plots` reads them."""
    write_atomic(run.log / "losses.csv", _table(run.history))
    batch = run.params.get("training", {}).get("batch_size", 0)
    speed = run.steps * batch / run.seconds if run.seconds else 0.0
    write_json(
        run.log / "timing.json",
        {
            "seconds": round(run.seconds, 3),
            "steps": run.steps,
            "resumed_from": run.resumed_from,
            "images_per_second": round(speed, 1),
        },
    )


def _table(history: list[dict[str, Any]]) -> str:
    """A column per term; empty where a phase was not active."""
    terms = sorted({term for entry in history for term in entry["losses"]})
    lines = [",".join(["step", *terms])]
    for entry in history:
        values = [entry["losses"].get(term) for term in terms]
        lines.append(",".join([str(entry["step"]), *("" if value is None else f"{value:.6g}" for value in values)]))
    return "\n".join(lines) + "\n"


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry) + "\n"
