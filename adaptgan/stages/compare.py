"""`compare`: several runs of `evaluate`, of other seeds and other data, side by side. Not a pipeline stage of its own.

All it reads is metrics.json files; what the numbers mean was decided when they were measured.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adaptgan.errors import AdaptganError
from adaptgan.files import read_json, write_atomic, write_json
from adaptgan.metrics.agreement import Agreement, agreement, mean_ranks
from adaptgan.metrics.selection import gap_closed
from adaptgan.metrics.spread import spread
from adaptgan.reporting.compare import markdown, page

MEAN_RANK = "mean_rank"
"""The name under which the mean rank over all validators is studied like one of them."""

_KEYS = ("rows", "baseline", "selected", "selection")


@dataclass(frozen=True)
class Measured:
    """One run of `evaluate`.

    Attributes:
        group: what is averaged over: the pair of domains.
        name: which of the group, its seed mostly.
        path: of its metrics.json.
        result: what that holds.
    """

    group: str
    name: str
    path: Path
    result: Mapping[str, Any]

    @property
    def title(self) -> str:
        """`group/name`."""
        return f"{self.group}/{self.name}"

    @property
    def candidates(self) -> dict[str, Mapping[str, Any]]:
        """Everything that could have been selected, were it good: rows and snapshots, the oracle not."""
        entries = {**self.result["rows"], **self.result.get("snapshots", {})}
        return {name: entry for name, entry in entries.items() if entry.get("role") != "oracle"}

    def accuracy(self, name: str | None) -> float | None:
        """Of a row or a snapshot on the test set; None for one that is not there."""
        entries = {**self.result.get("snapshots", {}), **self.result["rows"]}
        value = entries.get(name, {}).get("accuracy") if name else None
        return None if value is None else float(value)

    @property
    def baseline(self) -> float | None:
        """Source-only's accuracy."""
        return self.accuracy(self.result["baseline"])

    @property
    def oracle(self) -> float | None:
        """The oracle's accuracy."""
        return self.accuracy(self.result.get("oracle"))


def compare(given: Sequence[str], out: Path, *, level: int = 2, title: str = "Comparison") -> dict[str, Any]:
    """Read the runs, and write compare.json, compare.md and compare.html.

    Args:
        given: metrics.json files, folders to search for them, patterns, or `GROUP=PATH` and `GROUP/RUN=PATH`.
        out: folder to write to; other files in it stay.
        level: which folder above a metrics.json names its group: 2 for `GROUP/RUN/metrics.json`.
        title: of the page.

    Returns:
        What compare.json holds.

    Raises:
        AdaptganError: there is nothing to read, or something is not what `evaluate` writes.
    """
    runs = gather(given, level)
    result = study(runs)
    write_json(out / "compare.json", result)
    write_atomic(out / "compare.md", markdown(result, title))
    write_atomic(out / "compare.html", page(result, title))
    return result


def gather(given: Sequence[str], level: int = 2) -> list[Measured]:
    """Find and read all runs, in the order given.

    Raises:
        AdaptganError: there are none, one is no metrics.json of `evaluate`, or two have the same name.
    """
    found: list[Measured] = []
    for argument in given:
        label, path = _split(argument)
        for file in _files(path):
            group, name = _names(file, label, level)
            found.append(Measured(group, name, file, _read(file)))
    if not found:
        raise AdaptganError(
            "There is nothing to compare. Name the metrics.json files that `adaptgan evaluate` wrote, one a seed and "
            "pair of domains: `adaptgan compare reports/*/*/metrics.json`."
        )
    seen: dict[str, Path] = {}
    for run in found:
        if run.title in seen:
            raise AdaptganError(
                f"{seen[run.title]} and {run.path} would both be {run.title!r}. Name them yourself "
                "(`GROUP/RUN=PATH`), or say with --level which folder names the group."
            )
        seen[run.title] = run.path
    if all(run.baseline is None for run in found):
        raise AdaptganError(
            "None of these runs has accuracies: they were evaluated without a labelled test set. "
            "Give `adaptgan evaluate` one (--test DIR)."
        )
    return found


def study(runs: Sequence[Measured]) -> dict[str, Any]:
    """What compare.json holds: each group's rows, what choosing cost, and how far each score is to be trusted."""
    groups: dict[str, list[Measured]] = {}
    for run in runs:
        groups.setdefault(run.group, []).append(run)
    agreements = {run.title: agreements_of(run) for run in runs}
    return {
        "schema": 1,
        "groups": {name: _group(members) for name, members in groups.items()},
        "selection": _selection(runs),
        "validators": _validators(groups, agreements),
        "runs": [_run(run, agreements[run.title]) for run in runs],
    }


def agreements_of(run: Measured) -> dict[str, Agreement]:
    """Each validator, and their mean rank, against the accuracies of one run's candidates."""
    known = {name: entry for name, entry in run.candidates.items() if entry.get("accuracy") is not None}
    scores = {name: entry.get("validators", {}) for name, entry in known.items()}
    table: dict[str, dict[str, float]] = {}
    voting = run.result["selection"].get("validators", ())  # those that were only observed have no vote here either
    if places := mean_ranks({name: {key: row.get(key) for key in voting} for name, row in scores.items()}):
        table[MEAN_RANK] = {name: -place for name, place in places.items()}  # 1 is best; all scores: higher is better
    for validator in dict.fromkeys(v for row in scores.values() for v in row):
        table[validator] = {name: row[validator] for name, row in scores.items() if row.get(validator) is not None}
    return {
        validator: agreement(list(column.values()), [known[name]["accuracy"] for name in column])
        for validator, column in table.items()
        if column
    }


def _group(runs: Sequence[Measured]) -> dict[str, Any]:
    names = dict.fromkeys(name for run in runs for name in run.result["rows"])
    rows = {name: _row(name, runs) for name in names}
    place = {"baseline": 0, "candidate": 1, "oracle": 2}

    def key(name: str) -> tuple[int, float, str]:
        mean = rows[name]["accuracy"]["mean"] if rows[name]["accuracy"] else 0.0
        return place.get(rows[name]["role"], 1), -mean, name

    return {
        "runs": [run.name for run in runs],
        "rows": {name: rows[name] for name in sorted(rows, key=key)},
        "selection": _selection(runs),
    }


def _row(name: str, runs: Sequence[Measured]) -> dict[str, Any]:
    """One row over a group's runs; a run that does not have it is named as missing."""
    having = [run for run in runs if name in run.result["rows"]]
    entries = {run.name: run.result["rows"][name] for run in having}
    first = next(iter(entries.values()))
    alarms: dict[str, int] = {}
    for entry in entries.values():
        for alarm in {alarm["alarm"] for alarm in entry.get("alarms") or ()}:
            alarms[alarm] = alarms.get(alarm, 0) + 1
    return {
        "method": first.get("method"),
        "role": first.get("role"),
        "missing": [run.name for run in runs if run not in having],
        "accuracy": _over(having, lambda run: run.accuracy(name)),
        "gain": _over(having, lambda run: _less(run.accuracy(name), run.baseline)),
        "of_oracle": _over(having, lambda run: _share(run.accuracy(name), run.oracle)),
        "gap_closed": _over(having, lambda run: gap_closed(run.baseline, run.accuracy(name), run.oracle)),
        "seconds": _over(having, lambda run: run.result["rows"][name].get("seconds")),
        "selected": [run.name for run in having if run.result["selected"].partition("@")[0] == name],
        "below_source_only": [run.name for run in having if (_less(run.accuracy(name), run.baseline) or 0.0) < 0],
        "alarms": alarms,
    }


def _selection(runs: Sequence[Measured]) -> dict[str, Any]:
    """What was chosen without labels, against what test labels would have chosen."""

    def chosen(run: Measured) -> float | None:
        return run.accuracy(run.result["selected"])

    return {
        "accuracy": _over(runs, chosen),
        "with_labels": _over(runs, lambda run: _best(run)[1]),
        "regret": _over(runs, lambda run: _less(_best(run)[1], chosen(run))),
        "source_only": _over(runs, lambda run: run.baseline),
        "oracle": _over(runs, lambda run: run.oracle),
        "of_oracle": _over(runs, lambda run: _share(chosen(run), run.oracle)),
        "gap_closed": _over(runs, lambda run: gap_closed(run.baseline, chosen(run), run.oracle)),
        "below_source_only": [run.title for run in runs if (_less(chosen(run), run.baseline) or 0.0) < 0],
    }


def _validators(
    groups: Mapping[str, Sequence[Measured]], agreements: Mapping[str, Mapping[str, Agreement]]
) -> dict[str, Any]:
    """Each validator's agreement with the truth, averaged over all runs and over each group's."""
    names = dict.fromkeys(name for found in agreements.values() for name in found)
    every = [run for members in groups.values() for run in members]

    def averaged(name: str, runs: Sequence[Measured]) -> dict[str, Any]:
        known = [run for run in runs if name in agreements[run.title]]
        return {
            "runs": len(known),
            "candidates": sum(agreements[run.title][name].candidates for run in known),
            "spearman": _over(known, lambda run: agreements[run.title][name].spearman),
            "kendall": _over(known, lambda run: agreements[run.title][name].kendall),
            "regret": _over(known, lambda run: agreements[run.title][name].regret),
        }

    table = {
        name: {**averaged(name, every), "groups": {group: averaged(name, members) for group, members in groups.items()}}
        for name in names
    }

    def key(name: str) -> tuple[bool, float]:
        return name != MEAN_RANK, -(table[name]["spearman"]["mean"] if table[name]["spearman"] else -2.0)

    return {name: table[name] for name in sorted(table, key=key)}


def _run(run: Measured, agreements: Mapping[str, Agreement]) -> dict[str, Any]:
    best, accuracy = _best(run)
    return {
        "group": run.group,
        "run": run.name,
        "path": str(run.path),
        "baseline": run.result["baseline"],
        "oracle": run.result.get("oracle"),
        "selected": run.result["selected"],
        "accuracy": run.accuracy(run.result["selected"]),
        "with_labels": {"row": best, "accuracy": accuracy},
        "candidates": len(run.candidates),
        "excluded": dict(run.result["selection"].get("excluded") or {}),
        "validators": {name: asdict(found) for name, found in agreements.items()},
    }


def _best(run: Measured) -> tuple[str | None, float | None]:
    """The most accurate candidate in hindsight; the selected one wins ties, then the alphabet decides."""
    known = {name: value for name in run.candidates if (value := run.accuracy(name)) is not None}
    if not known:
        return None, None
    best = min(known, key=lambda name: (-known[name], name != run.result["selected"], name))
    return best, known[best]


def _over(runs: Iterable[Measured], of: Callable[[Measured], float | None]) -> dict[str, Any] | None:
    """Mean, standard deviation and single values over runs; None when no run has one."""
    values = {run.title: value for run in runs if (value := of(run)) is not None}
    found = spread(values.values())
    return None if found is None else {"mean": found.mean, "sd": found.sd, "values": values}


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _share(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _split(argument: str) -> tuple[str | None, str]:
    """`LABEL=PATH`, unless a file of that whole name exists."""
    label, equals, path = argument.partition("=")
    return (label, path) if equals and label and not Path(argument).exists() else (None, argument)


def _files(path: str) -> list[Path]:
    if Path(path).is_dir():
        found = sorted(Path(path).rglob("metrics.json"))
        if not found:
            raise AdaptganError(f"{path}: there is no metrics.json in this folder. `adaptgan evaluate` writes them.")
        return found
    if any(sign in path for sign in "*?["):
        found = [Path(match) for match in sorted(glob.glob(path, recursive=True)) if Path(match).is_file()]
        if not found:
            raise AdaptganError(f"{path}: no file matches this pattern. `adaptgan evaluate --out …` writes them.")
        return found
    return [Path(path)]


def _names(file: Path, label: str | None, level: int) -> tuple[str, str]:
    """Group and run of a file: from its label, or from the folders it lies in."""
    folders = file.absolute().parent.parts[1:]
    below = "/".join(folders[len(folders) - level + 1 :])
    if label is None:
        if len(folders) < level:
            raise AdaptganError(f"{file}: there is no folder {level} levels above it to name its group (--level).")
        return folders[len(folders) - level], below or file.stem
    group, _, name = label.partition("/")
    return group, name or folders[-1]


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise AdaptganError(f"{path}: there is no such file. `adaptgan evaluate --out {path}` writes it.")
    result = read_json(path)
    if not isinstance(result, dict):
        raise AdaptganError(f"{path}: this is no metrics.json of `adaptgan evaluate`: it holds no object.")
    task = result.get("task", "classification")
    if task != "classification":
        raise AdaptganError(
            f"{path}: these rows learned a {task}; nothing is selected there, and `compare` compares classifications."
        )
    missing = [key for key in _KEYS if not result.get(key)]
    if missing or not isinstance(result["rows"], dict) or result["baseline"] not in result["rows"]:
        what = f"it has no {missing[0]!r}" if missing else "its baseline is none of its rows"
        raise AdaptganError(f"{path}: this is no metrics.json of `adaptgan evaluate`: {what}.")
    return result
