"""Refuse to begin what the disk cannot hold: `ADAPTGAN_MIN_FREE_GB=20 dvc repro`."""

import os
import shutil

from adaptgan import AdaptganError, hookimpl


@hookimpl(must_succeed=True, observes=True)
def adaptgan_before_stage(stage):
    """Ask for room before anything is done."""
    wanted = float(os.environ.get("ADAPTGAN_MIN_FREE_GB", "0"))
    free = shutil.disk_usage(".").free / 1e9
    if free < wanted:
        raise AdaptganError(
            f"{stage.title} was not begun: {free:.1f} GB are free here, and ADAPTGAN_MIN_FREE_GB asks for {wanted:g}. "
            "Make room, or lower it."
        )
