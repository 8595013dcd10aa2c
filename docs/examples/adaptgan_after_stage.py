"""A ledger of all stages that succeeded: one line of JSON each, with what it took and what came out."""

import json
import os
import time
from pathlib import Path

from adaptgan import hookimpl


@hookimpl
def adaptgan_after_stage(stage):
    """Append a line; several processes may do so at a time."""
    ledger = Path(os.environ.get("ADAPTGAN_LEDGER", "reports/ledger.jsonl"))
    ledger.parent.mkdir(parents=True, exist_ok=True)
    line = {"stage": stage.title, "finished": time.time(), "seconds": stage.seconds, **stage.results}
    with ledger.open("a") as file:
        file.write(json.dumps(line, default=str) + "\n")
