"""The identity of one `dvc repro`: the environment stage, first in each, starts a new one."""

from __future__ import annotations

import json
import os
import time
import uuid
from pathlib import Path
from typing import Any

from adaptgan.files import scratch, write_json


def start_pipeline() -> dict[str, Any]:
    """Give the pipeline that starts now an id; the stages that follow track under it."""
    pipeline = {"id": uuid.uuid4().hex, "started": time.time()}
    write_json(scratch() / "pipeline.json", pipeline)
    return pipeline


def current_pipeline() -> dict[str, Any] | None:
    """The pipeline this process is a stage of, or None outside of DVC (a command that a person typed)."""
    if not os.environ.get("DVC_STAGE"):
        return None
    try:
        pipeline = json.loads(Path(scratch() / "pipeline.json").read_text())
    except (OSError, ValueError):
        return None
    return pipeline if isinstance(pipeline, dict) and pipeline.get("id") else None
