"""The table of this recipe: what classifiers read in images of held-out captions, and what a made set is good for.

    python plugins/adaptgan-text-to-image/pipeline/table.py --reports reports/text_to_image \
        --out reports/text_to_image/results.json

Writes the means and deviations over seeds to `--out` and the table beside it as `.md`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adaptgan.files import read_json
from adaptgan.metrics.spread import mean_std, plus_minus, summary
from adaptgan.reporting.results import write_results

ATTRIBUTES = ("digit", "colour", "background", "thickness")
METHODS = ("gan_cls", "stackgan")


def collect(reports: Path) -> dict[str, Any]:
    """`true` and `rows[method]`: shares of images whose attributes are read, of all of them, `use`, and seconds."""
    true = read_json(reports / "read_true.json")
    rows = {method: row(reports, method) for method in METHODS}
    return {
        "images": true["images"],
        "true": {**true["attributes"], "all": true["all"], "use": over_seeds(reports / "use", "true", digit_of)},
        "rows": rows,
    }


def row(reports: Path, method: str) -> dict[str, Any]:
    """One method's numbers over seeds."""
    found: dict[str, Any] = {
        name: over_seeds(reports / "read", method, lambda one, name=name: one["attributes"][name])
        for name in ATTRIBUTES
    }
    found["all"] = over_seeds(reports / "read", method, lambda one: one["all"])
    found["use"] = over_seeds(reports / "use", method, digit_of)
    timings = [read_json(path) for path in sorted((reports / "runs" / method).glob("*/timing.json"))]
    found["seconds"] = mean_std([timing["seconds"] for timing in timings])
    return found


def over_seeds(folder: Path, method: str, value: Any) -> dict[str, Any]:
    """Mean, deviation and values of one number over a method's files."""
    return summary([value(read_json(path)) for path in sorted(folder.glob(f"{method}_*.json"))])


def digit_of(read: dict[str, Any]) -> float:
    """The share of digits that was read."""
    share: float = read["attributes"]["digit"]
    return share


def table(results: dict[str, Any]) -> str:
    """The table, in Markdown, in percent."""
    lines = [
        f"| {results['images']} held-out captions | {' | '.join(ATTRIBUTES)} | all four | use | seconds |",
        "|---" * (len(ATTRIBUTES) + 4) + "|",
    ]
    for method, found in results["rows"].items():
        shares = [percent(found[name]) for name in (*ATTRIBUTES, "all", "use")]
        lines.append(f"| `{method}` | {' | '.join(shares)} | {found['seconds']['mean']:.0f} |")
    true = results["true"]
    shares = [f"{100 * true[name]:.1f}" for name in (*ATTRIBUTES, "all")]
    lines.append(f"| *true images* | {' | '.join(shares)} | {percent(true['use'])} | – |")
    return "\n".join(lines) + "\n"


def percent(share: dict[str, Any]) -> str:
    """Mean ± deviation in percent."""
    return plus_minus(share["mean"], share["std"], 1, factor=100)


if __name__ == "__main__":
    write_results(__doc__, ("reports",), collect, table)
