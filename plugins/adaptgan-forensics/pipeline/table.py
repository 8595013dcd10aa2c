"""The tables of this pipeline, from what `adaptgan detect` wrote for each network, training set and seed.

    python plugins/adaptgan-forensics/pipeline/table.py --scores reports/forensics/scores \
        --out reports/forensics/results.json

Writes means and deviations over seeds to `--out`, and beside it, as `.md`, a matrix of AUCs for each network (a row for
what the detector learned from, a column for what it is tested on) and a table of calibration.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adaptgan.files import read_json
from adaptgan.metrics.spread import plus_minus, summary
from adaptgan.reporting.results import write_results

TITLES = {
    "cnn": "`forensic_cnn`: residuals and spectrum",
    "spectrum": "`spectral_detector`: logistic regression of the spectrum alone",
}
WITHOUT = "without_"


def collect(scores: Path) -> dict[str, Any]:
    """`networks[network][learned from]`: by generator tested on, `auc`, `ece` and `ece_before`, over seeds."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for path in sorted(scores.glob("*/*/*.json")):
        network, learned = path.parts[-3:-1]
        found.setdefault(network, {}).setdefault(learned, []).append(read_json(path))
    networks: dict[str, Any] = {}
    for network, rows in found.items():
        order = sorted(rows, key=lambda name: (name.startswith(WITHOUT), name))
        networks[network] = {learned: _row(rows[learned]) for learned in order}
    return {"networks": networks}


def _row(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    tested = sorted(seeds[0]["generators"])
    on = {
        name: {
            "auc": summary([one["generators"][name]["auc"] for one in seeds]),
            "accuracy": summary([one["generators"][name]["accuracy"] for one in seeds]),
            "ece": summary([one["generators"][name]["ece"] for one in seeds]),
            "ece_before": summary([one["generators"][name]["uncalibrated"]["ece"] for one in seeds]),
        }
        for name in tested
    }
    return {"on": on, "temperature": summary([one["temperature"] for one in seeds])}


def tables(results: dict[str, Any]) -> str:
    """All of them, in Markdown."""
    parts = []
    for network, rows in sorted(results["networks"].items()):
        tested = list(next(iter(rows.values()))["on"])
        parts.append(f"AUC of {TITLES.get(network, network)}. Bold: generators that the detector learned from.")
        lines = [f"| learned from | {' | '.join(f'`{name}`' for name in tested)} |", "|---" * (len(tested) + 1) + "|"]
        for learned, row in rows.items():
            cells = [_bold(_cell(row["on"][name]["auc"]), name in known(learned, tested)) for name in tested]
            lines.append(f"| {_title(learned)} | {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    parts.append(
        "Calibration error (ECE) before and after the temperature, mean over generators: those that were learned from, "
        "and the others, for whom nothing was calibrated."
    )
    parts.append(calibration(results))
    return "\n\n".join(parts) + "\n"


def calibration(results: dict[str, Any]) -> str:
    """A row for each network, trained on one generator or on all but one."""
    head = "| detector | temperature | known: before | after | AUC | unknown: before | after | AUC |"
    lines = [head, "|---" * 8 + "|"]
    for network, rows in sorted(results["networks"].items()):
        for title, some in (
            ("one generator", {name: row for name, row in rows.items() if not name.startswith(WITHOUT)}),
            ("all but one", {name: row for name, row in rows.items() if name.startswith(WITHOUT)}),
        ):
            if not some:
                continue
            cells = [_cell(_over([(row["temperature"]) for row in some.values()]))]
            for inside in (True, False):
                for key in ("ece_before", "ece", "auc"):
                    picked = [
                        row["on"][name][key]
                        for learned, row in some.items()
                        for name in row["on"]
                        if (name in known(learned, list(row["on"]))) == inside
                    ]
                    cells.append(_cell(_over(picked)))
            lines.append(f"| `{network}`, {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def known(learned: str, tested: list[str]) -> set[str]:
    """The generators that a training set had."""
    if learned.startswith(WITHOUT):
        return set(tested) - {learned.removeprefix(WITHOUT)}
    return {learned}


def _over(summaries: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean over several, seed by seed, and its deviation over seeds."""
    seeds = zip(*(one["values"] for one in summaries), strict=True)
    return summary([sum(values) / len(values) for values in seeds])


def _cell(value: dict[str, Any]) -> str:
    return plus_minus(value["mean"], value["std"], 3)


def _bold(text: str, yes: bool) -> str:
    return f"**{text}**" if yes else text


def _title(learned: str) -> str:
    return f"all but `{learned.removeprefix(WITHOUT)}`" if learned.startswith(WITHOUT) else f"`{learned}`"


if __name__ == "__main__":
    write_results(__doc__, ("scores",), collect, tables)
