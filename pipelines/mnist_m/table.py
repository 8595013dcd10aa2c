"""The table of this recipe, from the numbers that `adaptgan evaluate` wrote for each translator and seed.

    python pipelines/mnist_m/table.py --reports reports/mnist_m --out reports/mnist_m/results.json

It reads `<reports>/<seed>/<translator>.json`, `translate.<translator>.json` (seconds) and the timing of all trainings
in `<reports>/<seed>/runs`, and writes means and deviations over seeds to `--out`, the table beside it as `.md`.
What was not run is left out: a row may have fewer seeds than others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adaptgan.files import read_json
from adaptgan.metrics.spread import plus_minus, summary
from adaptgan.reporting.results import write_results

TRANSLATORS = ("cyclegan", "cut", "pixel_da", "class_translator")
OWN = "pixel_da_network"
ADAPTED = "self_ensembling"
ENDS = ("source", "oracle")
TITLES = {
    "source": "*clean digits, no translation*",
    OWN: "`pixel_da`'s own network",
    ADAPTED: "*no translation: the guard, adapted*",
    "oracle": "*oracle: labelled photos*",
}
PERCENT = {
    "accuracy": "accuracy",
    "gap_closed": "gap closed",
    "ungated": "accuracy, ungated",
    "ungated_gap_closed": "gap closed",
    "before_gate": "labels kept, before the gate",
    "after_gate": "after",
    "passed": "passed the gate",
}


def collect(reports: Path) -> dict[str, Any]:
    """`rows[name]`: the `mean`, `std` and `values` over seeds of each number that the row has."""
    seeds = sorted(path for path in reports.iterdir() if path.name.isdigit() and path.is_dir())
    rows: dict[str, list[dict[str, float | None]]] = {}
    for seed in seeds:
        for name, numbers in of_seed(seed).items():
            rows.setdefault(name, []).append(numbers)
    between = sorted((name for name in rows if name not in ENDS), key=lambda name: -mean(rows[name], "accuracy"))
    summed = {
        name: {
            key: summary([one.get(key) for one in rows[name]])
            for key in dict.fromkeys(k for r in rows[name] for k in r)
        }
        for name in (ENDS[0], *between, ENDS[1])
    }
    return {"seeds": [seed.name for seed in seeds], "rows": summed}


def of_seed(folder: Path) -> dict[str, dict[str, float | None]]:
    """Every row's numbers for one seed: shares from 0 to 1, KID, seconds."""
    metrics = {name: read_json(folder / f"{name}.json") for name in TRANSLATORS if (folder / f"{name}.json").is_file()}
    first = next(iter(metrics.values()))
    accuracies = {name: row["accuracy"] for one in metrics.values() for name, row in one["rows"].items()}
    low, high = (accuracies[name] for name in ENDS)
    closed = {name: (accuracy - low) / (high - low) for name, accuracy in accuracies.items()}
    guard = seconds(folder, f"task.{ADAPTED}")
    found: dict[str, dict[str, float | None]] = {
        name: {"accuracy": accuracies[name], "gap_closed": closed[name]}
        for name in (*ENDS, *metrics, OWN, ADAPTED)
        if name in accuracies
    }
    for name, measured in metrics.items():
        training = seconds(folder, f"translator.{name}")
        translating = read_json(folder / f"translate.{name}.json")["seconds"]
        found[name] |= {
            "ungated": accuracies.get(f"{name}_ungated"),
            "ungated_gap_closed": closed.get(f"{name}_ungated"),
            "before_gate": measured["label_preservation_before_gate"],
            "after_gate": measured["label_preservation"],
            "passed": 1 - measured["quarantined"],
            "kid": measured["realism"]["adapted"]["kid"],
            "training": training,
            "all": guard + training + translating + seconds(folder, f"task.{name}"),
        }
    found["source"] |= {
        "after_gate": first["judge_on_source"],
        "kid": first["realism"]["source"]["kid"],
        "all": seconds(folder, "task.source"),
    }
    if OWN in found and "pixel_da" in found:
        found[OWN] |= {"training": found["pixel_da"]["training"], "all": found["pixel_da"]["training"]}
    found[ADAPTED] |= {"all": guard}
    found["oracle"] |= {
        "kid": first["realism"]["floor"]["kid"],
        "all": seconds(folder, "task.oracle"),
    }
    return found


def seconds(folder: Path, section: str) -> float:
    """What a training took."""
    return float(read_json(folder / "runs" / section / "timing.json")["seconds"])


def mean(rows: list[dict[str, float | None]], key: str) -> float:
    """Over seeds."""
    return float(summary([row[key] for row in rows])["mean"] or 0.0)


def table(results: dict[str, Any]) -> str:
    """The table, in Markdown."""
    titles = ["trained on", *PERCENT.values(), "KID", "seconds, translator", "all stages"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for name, row in results["rows"].items():
        cells = [cell(row, key, 1, 100.0) for key in PERCENT]
        cells += [cell(row, "kid", 3), cell(row, "training", 0), cell(row, "all", 0)]
        lines.append(f"| {' | '.join([TITLES.get(name, f'`{name}`'), *cells])} |")
    return "\n".join(lines) + "\n"


def cell(row: dict[str, Any], key: str, digits: int, factor: float = 1.0) -> str:
    """`97.8 ± 0.5`, or a dash."""
    return plus_minus(row[key]["mean"], row[key]["std"], digits, factor) if key in row else "–"


if __name__ == "__main__":
    write_results(__doc__, ("reports",), collect, table)
