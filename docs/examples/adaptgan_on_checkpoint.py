"""A copy of each checkpoint on another disk: `ADAPTGAN_BACKUP=/mnt/backup dvc repro`."""

import os
import shutil
from pathlib import Path

from adaptgan import hookimpl


@hookimpl(observes=True)
def adaptgan_on_checkpoint(run, path):
    """Copy beside, then rename: a copy that was cut off is never taken for a checkpoint."""
    if folder := os.environ.get("ADAPTGAN_BACKUP"):
        target = Path(folder) / run.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        shutil.copyfile(path, part)
        part.replace(target)
