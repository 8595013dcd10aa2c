"""The tables of this pipeline, from what `adaptgan detect` wrote for each noise, training set, seed and test set.

    python plugins/adaptgan-forensics/pipeline_frames/table.py --scores reports/frames/scores \
        --swapped reports/frames/swapped --control reports/frames/control --out reports/frames/results.json

Writes means and deviations over seeds to `--out`, and beside it, as `.md`: AUCs of frames and of sequences, calibration
of both, and AUCs of frames that are made in part and of the control.
"""

from __future__ import annotations

from pathlib import Path
from statistics import fmean, variance
from typing import Any

from adaptgan.files import read_json
from adaptgan.metrics.spread import plus_minus, summary
from adaptgan.reporting.results import write_results

OF = {"fomm": "people", "smoothed": "dancer", "single": "dancer"}
"""By generator, the videos that it made frames of."""

SAME, NEAR, TO_DANCER, TO_PEOPLE = (
    "the generator that was learned from",
    "the same dancer's other one",
    "the dancer's, learned from `fomm`",
    "`fomm`, learned from the dancer's",
)
"""How far what is tested may be from what was learned."""


def collect(scores: Path, swapped: Path, control: Path) -> dict[str, Any]:
    """`noise[level][learned from]`, `swapped[generator][part]` and `control[kind]`, over seeds; see `_summaries`."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for folder in sorted(scores.glob("*/*/*")):
        level, learned = folder.parts[-3:-1]
        tested = {path.stem: read_json(path) for path in sorted(folder.glob("*.json"))}
        found.setdefault(level, {}).setdefault(learned, []).append(tested)
    levels = {
        level: {
            learned: {
                "on": {name: _summaries([tested[name] for tested in seeds]) for name in seeds[0]},
                "temperature": summary([tested[learned]["temperature"] for tested in seeds]),
                "between": summary([between(tested[learned]["records"]) for tested in seeds]),
            }
            for learned, seeds in sorted(found[level].items())
        }
        for level in sorted(found, key=float)
    }
    parts = {
        folder.name: {
            part: [one["generators"][part]["auc"] for one in map(read_json, sorted(folder.glob("*.json")))]
            for part in ("figure", "ground")
        }
        for folder in sorted(swapped.iterdir())
    }
    kinds = sorted(folder.name for folder in control.iterdir())
    controls = {
        kind: _summaries([read_json(path) for path in sorted((control / kind).glob("*.json"))]) for kind in kinds
    }
    return {"noise": levels, "swapped": parts, "control": controls}


def _summaries(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """`frame` and `sequence`: `auc`, and `ece` after and `ece_before` the temperature; how many `sequences`."""
    parts = {"frame": [one["scores"] for one in seeds], "sequence": [one["sequences"]["scores"] for one in seeds]}
    return {
        "sequences": len(seeds[0]["sequences"]["records"]),
        **{
            part: {
                "auc": summary([one["auc"] for one in numbers]),
                "ece": summary([one["ece"] for one in numbers]),
                "ece_before": summary([one["uncalibrated"]["ece"] for one in numbers]),
            }
            for part, numbers in parts.items()
        },
    }


def between(records: list[dict[str, Any]]) -> float:
    """How much of the variance of logits is that of their sequences' means; mean over real and generated.

    Of T independent frames it is about 1/T, of frames that all say the same 1. Keys end in the frame's number, and
    begin with the class.
    """
    sequences: dict[str, list[float]] = {}
    for record in records:
        sequences.setdefault(record["key"].rpartition("_")[0], []).append(record["logit"])
    shares = []
    for real in (True, False):
        mine = [logits for name, logits in sequences.items() if name.startswith("real_") == real]
        whole = variance([logit for logits in mine for logit in logits])
        shares.append(variance([fmean(logits) for logits in mine]) / whole)
    return fmean(shares)


def tables(results: dict[str, Any]) -> str:
    """All of them, in Markdown."""
    levels = results["noise"]
    tested = list(next(iter(next(iter(levels.values())).values()))["on"])
    lines = [
        f"| noise | learned from | {' | '.join(f'`{name}`: a frame | a sequence' for name in tested)} |",
        "|---" * (2 + 2 * len(tested)) + "|",
    ]
    for level, rows in levels.items():
        for learned, row in rows.items():
            cells = [
                _bold(_cell(row["on"][name][part]["auc"]), name == learned)
                for name in tested
                for part in ("frame", "sequence")
            ]
            lines.append(f"| {level} | `{learned}` | {' | '.join(cells)} |")
    parts = [
        "Mean ± standard deviation over three seeds. AUC of `forensic_cnn`, frame by frame, and sequence by sequence "
        "(the mean of its frames' logits). Bold: the generator that the detector learned from, in other videos.",
        "\n".join(lines),
        "Calibration error (ECE) of frames before and after the temperature, and of sequences after it; a mean over "
        "pairs of generators, learned from and tested on.",
        calibration(levels),
        "How much of the variance of logits lies between sequences (tested on the generator that was learned from): "
        "of independent frames, 0.08 of 12 and 0.04 of 24; of frames that all say the same, 1.",
        agreement(levels),
        "AUC of frames of which the figure alone was made, or the ground alone, against the real ones (noise 4, seeds "
        "0 / 1 / 2), by the detector that learned from that generator.",
        parted(results["swapped"]),
        "The control: real videos against other real ones of the same kind, noise 4, seeds 0 / 1 / 2.",
        controlled(results["control"]),
    ]
    return "\n\n".join(parts) + "\n"


def agreement(levels: dict[str, Any]) -> str:
    """A row for each generator, a column for each noise."""
    lines = [f"| | {' | '.join(f'noise {level}' for level in levels)} |", "|---" * (1 + len(levels)) + "|"]
    for name in next(iter(levels.values())):
        cells = [_cell(rows[name]["between"]) for rows in levels.values()]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def calibration(levels: dict[str, Any]) -> str:
    """A row for each noise and for how far what is tested is from what was learned."""
    lines = ["| noise | tested on | temperature | frames: before | after | sequences |", "|---" * 6 + "|"]
    for level, rows in levels.items():
        for how_far in (SAME, NEAR, TO_DANCER, TO_PEOPLE):
            picked = [
                (row, name) for learned, row in rows.items() for name in row["on"] if far(learned, name) == how_far
            ]
            cells = [_cell(_over([row["temperature"] for row, _ in picked]))]
            for part, key in (("frame", "ece_before"), ("frame", "ece"), ("sequence", "ece")):
                cells.append(_cell(_over([row["on"][name][part][key] for row, name in picked])))
            lines.append(f"| {level} | {how_far} | {' | '.join(cells)} |")
    return "\n".join(lines)


def far(learned: str, tested: str) -> str:
    """One of `SAME`, `NEAR`, `TO_DANCER` and `TO_PEOPLE`."""
    if OF[learned] != OF[tested]:
        return TO_PEOPLE if OF[tested] == "people" else TO_DANCER
    return SAME if learned == tested else NEAR


def parted(generators: dict[str, Any]) -> str:
    """A row for each generator."""
    lines = ["| AUC of a frame | made figure, real ground | real figure, made ground |", "|---" * 3 + "|"]
    for name, parts in generators.items():
        lines.append(f"| `{name}` | {_each(parts['figure'])} | {_each(parts['ground'])} |")
    return "\n".join(lines)


def controlled(kinds: dict[str, Any]) -> str:
    """A row for each kind of videos, every seed by itself."""
    lines = ["| AUC | a frame | a sequence | sequences |", "|---" * 4 + "|"]
    for kind, numbers in kinds.items():
        cells = [_each(numbers[part]["auc"]["values"]) for part in ("frame", "sequence")]
        lines.append(f"| {kind} | {' | '.join(cells)} | {numbers['sequences']} |")
    return "\n".join(lines)


def _over(summaries: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean over several, seed by seed, and its deviation over seeds."""
    seeds = zip(*(one["values"] for one in summaries), strict=True)
    return summary([sum(values) / len(values) for values in seeds])


def _each(values: list[float]) -> str:
    return " / ".join(f"{value:.3f}" for value in values)


def _cell(value: dict[str, Any]) -> str:
    return plus_minus(value["mean"], value["std"], 3)


def _bold(text: str, yes: bool) -> str:
    return f"**{text}**" if yes else text


if __name__ == "__main__":
    write_results(__doc__, ("scores", "swapped", "control"), collect, tables)
