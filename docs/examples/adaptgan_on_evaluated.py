"""A table of all trainings and what they scored on held-out source images: `reports/scores.csv`."""

import csv
import os
from pathlib import Path

from adaptgan import hookimpl


@hookimpl(observes=True)
def adaptgan_on_evaluated(run, step, scores):
    """Append a row for each score; of several ranks one writes."""
    if run.rank == 0:
        path = Path(os.environ.get("ADAPTGAN_SCORES", "reports/scores.csv"))
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", newline="") as file:
            rows = csv.writer(file)
            for name, value in scores.items():
                rows.writerow([run.name, run.fingerprint[:12], step, name, f"{value:.6f}"])
